import ClusterRuntime
import RegistrarEvents
import WSSubscrActor

/// Subscribers come and go, go on at other nodes where they were, and some read slowly.
extension World {
    // MARK: Coming and going

    mutating func planSubscribers() {
        for number in 0..<options.subscribers {
            let view: Consumer.View =
                switch Int.random(in: 0..<10, using: &followChance) {
                case 0..<4: .all
                case 4..<6: .changes
                case 6..<8: .states
                default: .accounts(["u\(number % 4)", "u\(number % 4 + 1)", "d0"])
                }
            let domain = domains[Int.random(in: 0..<domains.count, using: &followChance)]
            let wish = SubscriberWish(
                number: number + 1, domain: domain, view: view, isSlow: followChance.chance(0.4))
            queue.add(.roam(wish), at: now + followChance.duration(500...3_000))
        }
    }

    /// One that is connected leaves, one that is not comes back; until all load is over.
    mutating func roam(_ wish: SubscriberWish) {
        guard isLoaded else { return }
        let isHere = subscribers[wish.number]?.socket != nil
        if isHere {
            leave(wish.number)
        } else {
            let node = followers[Int.random(in: 0..<followers.count, using: &followChance)]
            follow(wish, at: node)
        }
        queue.add(.roam(wish), at: now + followChance.duration(isHere ? 0...1_500 : 300...4_000))
    }

    /// - Returns: false when nobody listens at the node, or the subscriber was another one before.
    @discardableResult
    mutating func follow(_ wish: SubscriberWish, at name: NodeName) -> Bool {
        guard nodes[name]!.isRunning else { return false }
        let subscriber = subscribers[wish.number] ?? Subscriber(wish, plantedBug: options.plantedBug)
        guard subscriber.wish == wish else { return false }
        if subscriber.socket != nil { leave(wish.number) }
        record(.follow(wish, at: name))
        subscribers[wish.number] = subscriber
        connect(subscriber, to: nodes[name]!)
        if wish.isSlow, let id = subscriber.socket?.id {
            queue.add(.read(wish.number, id), at: now + followChance.duration(50...400))
        }
        return true
    }

    @discardableResult
    mutating func leave(_ number: Int) -> Bool {
        guard let subscriber = subscribers[number], let socket = subscriber.socket else { return false }
        record(.leave(number))
        trace.note(now, "f\(number) leaves \(socket.node.name)")
        disconnect(subscriber)
        tell(.cancel(socket.id), of: subscriber.wish.domain, socket.node)
        return true
    }

    mutating func connect(_ subscriber: Subscriber, to node: SimulatedNode) {
        let wish = subscriber.wish
        connections += 1
        let id = SubscriberID(lane: 0, connection: connections, number: 1)
        subscriber.socket = Subscriber.Socket(node: node.life, id: id)
        node.followers[wish.domain]?.sockets[id] = subscriber
        let start = start(of: subscriber)
        subscriber.consumer.connected(anew: start == .snapshot)
        if !subscriber.isResident { trace.note(now, "f\(wish.number) follows at \(node.name), \(start)") }
        let request = SubscribeRequest(
            id: id, matcher: subscriber.matcher, expires: .seconds(86_400),
            start: resumption(start, at: node, subscriber))
        tell(.subscribe(request), of: wish.domain, node.life)
    }

    private func start(of subscriber: Subscriber) -> SubscribeRequest.Start {
        // Whoever was cut off amid a list has to ask for it again.
        subscriber.consumer.isWhole ? .after(subscriber.consumer.position) : .snapshot
    }

    mutating func disconnect(_ subscriber: Subscriber) {
        guard let socket = subscriber.socket else { return }
        nodes[socket.node.name]!.followers[subscriber.wish.domain]?.sockets[socket.id] = nil
        subscriber.socket = nil
    }

    /// The process ends, and all connections with it.
    mutating func disconnectAll(of name: NodeName) {
        for subscriber in subscribers.values where subscriber.socket?.node.name == name { disconnect(subscriber) }
    }

    /// Those that stay connected as long as the process lives come when it begins.
    mutating func connectResidents(of node: SimulatedNode) {
        for domain in domains {
            for subscriber in node.followers[domain]?.residents ?? [] { connect(subscriber, to: node) }
        }
    }

    /// All load is over: whoever is not connected comes back, to stay.
    mutating func gatherSubscribers() {
        for (number, subscriber) in subscribers.sorted(by: { $0.key < $1.key }) where subscriber.socket == nil {
            let node = followers[number % followers.count]
            if nodes[node]!.isRunning { connect(subscriber, to: nodes[node]!) }
        }
        for (_, subscriber) in subscribers.sorted(by: { $0.key < $1.key }) where subscriber.wish.isSlow {
            read(subscriber, .max)
        }
    }

    // MARK: The client

    /// All are in a hurry when the load is over.
    func isSlow(_ subscriber: Subscriber) -> Bool { subscriber.wish.isSlow && isLoaded }

    /// A slow one takes a little, and does so again and again.
    /// Once all is healed sockets are quick: nothing is told of the time to settle.
    var socketDelay: Int { isLoaded ? options.socketDelay : min(options.socketDelay, 1) }

    mutating func read(_ number: Int, _ id: SubscriberID) {
        guard let subscriber = subscribers[number], subscriber.socket?.id == id, isLoaded else { return }
        read(subscriber, Int.random(in: 1...8, using: &followChance))
        queue.add(.read(number, id), at: now + followChance.duration(20...300))
    }

    private mutating func read(_ subscriber: Subscriber, _ count: Int) {
        guard var socket = subscriber.socket else { return }
        let taken = Array(socket.unread.prefix(count))
        socket.unread.removeFirst(taken.count)
        socket.unreadBytes -= taken.reduce(0) { $0 + $1.byteCount }
        subscriber.socket = socket
        for unread in taken { take(unread, subscriber, at: socket.node.name) }
        if socket.unreadBytes <= options.socketBudget / 2 { askForMore(subscriber) }
    }

    mutating func readAll(_ subscriber: Subscriber) {
        guard let socket = subscriber.socket else { return }
        subscriber.socket?.unread = []
        subscriber.socket?.unreadBytes = 0
        for unread in socket.unread { take(unread, subscriber, at: socket.node.name) }
    }

    private mutating func take(_ unread: Subscriber.Socket.Unread, _ subscriber: Subscriber, at name: NodeName) {
        let wish = subscriber.wish
        switch unread {
        case .end(let position):
            subscriber.socket?.isServed = true
            note(subscriber.consumer.listed(through: position), of: subscriber, at: name)
        case .event(let tail):
            guard let told = notification(tail) else {
                return history.violate(Consumer.orderPromise, "unreadable: \(String(decoding: tail, as: UTF8.self))")
            }
            let log = history.log[wish.domain] ?? [:]
            if !subscriber.isResident {
                trace.note(now, "f\(wish.number) is told \(wish.domain) \(told)")
            } else if wish.view == .all {
                trace.note(now, "\(name) tells \(wish.domain) \(Self.text(told, log[told.position]))")
            }
            eventsTold += 1
            let wrong = subscriber.consumer.take(told) { position in
                log[position].flatMap { Notification($0, epoch: position.epoch) }
            }
            note(wrong, of: subscriber, at: name)
        }
    }

    private mutating func note(_ wrong: String?, of subscriber: Subscriber, at name: NodeName) {
        guard let wrong else { return }
        let wish = subscriber.wish
        let isNet = wish.view == .changes || wish.view == .states
        history.violate(
            isNet ? Consumer.changesPromise : Consumer.orderPromise, "\(name) \(wish.domain), \(wish.view): \(wrong)")
    }

    /// The entry of the log that it tells of says more than it does.
    private static func text(_ told: Notification, _ entry: LogEntry?) -> String {
        guard let entry, Notification(entry, epoch: told.position.epoch) == told else { return "\(told)" }
        return Trace.describe(entry, epoch: told.position.epoch)
    }

    /// What is told to many is read once.
    private mutating func notification(_ tail: [UInt8]) -> Notification? {
        if let known = notifications[tail] { return known }
        if notifications.count > 4_096 { notifications = [:] }
        let read = Notification(tail: tail)
        notifications[tail] = read
        return read
    }

    // MARK: At the end

    /// Everybody who follows a domain.
    func everyone(following domain: DomainName) -> [(name: String, subscriber: Subscriber)] {
        let residents = followers.flatMap { name in
            (nodes[name]!.followers[domain]?.residents ?? []).map { (name: "\(name)", subscriber: $0) }
        }
        let others = subscribers.values.filter { $0.wish.domain == domain }.sorted { $0.wish.number < $1.wish.number }
        return residents + others.map { (name: "f\($0.wish.number)", subscriber: $0) }
    }

    /// Who has not been told everything yet; nil when all have.
    func lagging(_ domain: DomainName, behind position: Position) -> String? {
        for name in followers {
            guard let node = nodes[name], node.isRunning, !node.isPaused else { return "\(name) is away" }
            guard let twin = node.followers[domain], twin.machine.report.copy.position == position,
                twin.machine.replica.isComplete
            else { return "follower \(name) of \(domain) is not at \(position)" }
            guard twin.machine.replica.isReplayed else {
                return "follower \(name) of \(domain) has not heard that everything is restated"
            }
            guard twin.underWay == 0, twin.waiting.allSatisfy(\.isTick), twin.lastAsked < now else {
                return "follower \(name) of \(domain) and its sockets have something to say to each other"
            }
        }
        // Amid the history some are away, or read slowly.
        for (name, subscriber) in everyone(following: domain) where subscriber.isResident || !isLoaded {
            guard subscriber.isCaughtUp, subscriber.wish.view != .all || subscriber.consumer.position == position
            else { return "\(name), who follows \(domain) (\(subscriber.wish.view)), is not told \(position)" }
        }
        return nil
    }

    /// Holds what everybody was told against the owner's list.
    mutating func compareSubscribers(of domain: DomainName, with list: [ContactKey: PackedContact]) {
        let marks = list.compactMapValues { Notification.mark($0) }
        for (name, subscriber) in everyone(following: domain) where subscriber.isCaughtUp || !isLoaded {
            let isNet = subscriber.wish.view == .changes || subscriber.wish.view == .states
            for difference in subscriber.consumer.differences(from: marks) {
                history.violate(
                    isNet ? Consumer.changesPromise : "a consumer keeps the set",
                    "\(name) \(domain), \(subscriber.wish.view): \(difference)")
            }
        }
    }
}

extension Follower.Event {
    fileprivate var isTick: Bool {
        if case .tick = self { return true }
        return false
    }
}
