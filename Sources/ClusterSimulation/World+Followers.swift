import ClusterRuntime
import RegistrarEvents
import WSSubscrActor

/// The shell of a `wssubscr` node's followers: what arrives, and what they hand to the sockets of subscribers.
extension World {
    private static let retryAfter = Duration.milliseconds(300)

    /// Hands an event to a follower, alone or with what else arrives.
    mutating func follow(_ event: Follower.Event, of domain: DomainName, at name: NodeName) {
        guard let node = nodes[name], let twin = node.followers[domain] else { return }
        twin.waiting.append(event)
        guard twin.waiting.count == 1 else { return }
        guard options.turnDelay > 0, turnChance.oneIn(2) else { return endTurn(of: domain, at: name) }
        queue.add(.step(name, .endTurn(domain, life: node.life)), at: now + turnChance.duration(0...options.turnDelay))
    }

    /// The turn of a domain's machine or follower is over.
    mutating func endTurn(of domain: DomainName, at name: NodeName) {
        let node = nodes[name]!
        if let directives = node.turns.removeValue(forKey: domain) { endTurn(directives, of: domain, at: name) }
        guard let twin = node.followers[domain] else { return }
        let waiting = twin.waiting
        twin.waiting = []
        // What sockets and routers say comes before what owners do.
        let isOfOwner = { (event: Follower.Event) in
            switch event {
            case .append, .chunk: true
            case .assigned, .subscribe, .ready, .cancel, .tick, .turnEnded: false
            }
        }
        for event in waiting.filter({ !isOfOwner($0) }) + waiting.filter(isOfOwner) + [.turnEnded] {
            handle(event, twin, at: node)
        }
    }

    private mutating func handle(_ event: Follower.Event, _ twin: FollowerTwin, at node: SimulatedNode) {
        let domain = twin.machine.domain
        // What is gone with its subscribers begins anew when the topology has it again.
        if twin.machine.isRetired, case .assigned(let assignment) = event, !assignment.isRetired {
            twin.machine = Follower(domain: domain, settings: Self.settings(options))
        }
        if twin.machine.isRetired, case .subscribe(let request) = event { return ended(request.id, twin) }
        for directive in twin.machine.handle(event, at: moment(of: node.name)) {
            switch directive {
            case .send(let message, let peer): send(boastful(message, at: node), from: node.name, to: peer)
            case .deliver(let delivery):
                twin.underWay += 1
                twin.lastArrival = max(twin.lastArrival, now + followChance.duration(0...socketDelay))
                queue.add(
                    .step(node.name, .handOver(delivery, domain, life: node.life)), at: twin.lastArrival)
            case .alarm(let text): history.violate("no alarm", "\(node.name): \(text)")
            }
        }
    }

    static func settings(_ options: SimulationOptions) -> FollowerSettings {
        var settings = FollowerSettings()
        settings.ringEntries = options.recentEvents
        settings.sliceBytes = options.sliceBytes
        settings.sliceEvents = max(options.sliceBytes / 100, 1)
        return settings
    }

    static func residents(of domain: DomainName, _ options: SimulationOptions) -> [Subscriber] {
        [.all, .changes].map { view in
            Subscriber(
                SubscriberWish(number: 0, domain: domain, view: view, isSlow: false), plantedBug: options.plantedBug)
        }
    }

    /// Sockets take what a follower has handed over; those that are read at once ask for more.
    mutating func arrive(_ delivery: Delivery, of domain: DomainName, at name: NodeName) {
        guard let twin = nodes[name]!.followers[domain] else { return }
        twin.underWay -= 1
        for id in delivery.to {
            guard let subscriber = twin.sockets[id] else { continue }
            switch delivery.content {
            case .answer(.accepted): break
            case .answer(.refused), .ended: ended(id, twin)
            case .events(let batch, let flow):
                write(batch, flow, to: subscriber)
                guard !isSlow(subscriber) else { continue }
                readAll(subscriber)
                askForMore(subscriber)
            }
        }
    }

    /// The subscription is over. Residents come again at once, the others when they want to.
    private mutating func ended(_ id: SubscriberID, _ twin: FollowerTwin) {
        guard let subscriber = twin.sockets[id], let socket = subscriber.socket else { return }
        disconnect(subscriber)
        guard subscriber.isResident else {
            trace.note(now, "f\(subscriber.wish.number) is told that its subscription at \(socket.node.name) is over")
            return
        }
        queue.add(
            .step(socket.node.name, .reconnect(subscriber.wish, life: socket.node)), at: now + Self.retryAfter)
    }

    /// A resident comes again.
    mutating func reconnect(_ wish: SubscriberWish, to life: NodeID) {
        guard let node = nodes[life.name], node.life == life,
            let subscriber = node.followers[wish.domain]?.residents.first(where: { $0.wish == wish })
        else { return }
        connect(subscriber, to: node)
    }

    private mutating func write(_ batch: EventBatch, _ flow: Delivery.Flow, to subscriber: Subscriber) {
        guard var socket = subscriber.socket else { return }
        var batch = batch
        // A lane that has no room for it leaves word that there was something.
        if options.subscribers > 0, isLoaded, flow == .pushed, followChance.oneIn(50) { batch = batch.emptied }
        let fits = socket.unread.isEmpty || socket.unreadBytes + batch.byteCount <= options.socketBudget
        if socket.feed.received(batch, flow, fits: fits) == .write {
            for tail in shortened(batch.tails, subscriber.wish) { socket.unread.append(.event(tail)) }
            socket.unreadBytes += batch.byteCount
            if flow == .pulled(more: false) { socket.unread.append(.end(batch.through)) }
        }
        subscriber.socket = socket
    }

    /// The socket has room again.
    mutating func askForMore(_ subscriber: Subscriber) {
        guard let socket = subscriber.socket, case .ready(let lost) = subscriber.socket?.feed.drained() else { return }
        tell(.ready(socket.id, lostAfter: forgotten(lost, subscriber)), of: subscriber.wish.domain, socket.node)
    }

    /// What a socket says comes to its follower, in order.
    mutating func tell(_ event: Follower.Event, of domain: DomainName, _ life: NodeID) {
        guard let twin = nodes[life.name]!.followers[domain] else { return }
        twin.lastAsked = max(twin.lastAsked, now + followChance.duration(0...options.socketDelay / 4))
        queue.add(.step(life.name, .follow(event, domain, life: life)), at: twin.lastAsked)
    }
}
