import ClusterRuntime
import RegistrarEvents
import WSSubscrActor

/// The shell of a `wssubscr` node's followers: what arrives, and what they hand to the sockets of subscribers.
extension World {
    private static let retryAfter = Duration.milliseconds(300)

    /// Hands an event to a follower, and carries out what it decides.
    mutating func follow(_ event: Follower.Event, of domain: DomainName, at name: NodeName) {
        guard let node = nodes[name], let twin = node.followers[domain] else { return }
        let moment = moment(of: name)
        // What is gone with its subscribers begins anew when the topology has it again.
        if twin.machine.isRetired, case .assigned(let assignment) = event, !assignment.isRetired {
            twin.machine = Follower(domain: domain, settings: Self.settings(options))
        }
        if twin.machine.isRetired, case .subscribe(let request) = event {
            ended(request.id, twin)
            return
        }
        var events = [event]
        while !events.isEmpty {
            let turn = events + [.turnEnded]
            events = []
            for event in turn {
                for directive in twin.machine.handle(event, at: moment) {
                    switch directive {
                    case .send(let message, let peer): send(boastful(message, at: node), from: name, to: peer)
                    case .deliver(let delivery): events += deliver(delivery, twin)
                    case .alarm(let text): history.violate("no alarm", "\(name): \(text)")
                    }
                }
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

    /// - Returns: what sockets ask for in turn.
    private mutating func deliver(_ delivery: Delivery, _ twin: FollowerTwin) -> [Follower.Event] {
        var asked: [Follower.Event] = []
        for id in delivery.to {
            guard let subscriber = twin.sockets[id] else { continue }
            switch delivery.content {
            case .answer(.accepted): break
            case .answer(.refused), .ended: ended(id, twin)
            case .events(let batch, let flow):
                write(batch, flow, to: subscriber)
                guard !isSlow(subscriber) else { continue }
                readAll(subscriber)
                asked += drained(subscriber)
            }
        }
        return asked
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
        if isSlow(subscriber), flow == .pushed, followChance.oneIn(20) { batch = batch.emptied }
        let fits = socket.unread.isEmpty || socket.unreadBytes + batch.byteCount <= options.socketBudget
        if socket.feed.received(batch, flow, fits: fits) == .write {
            for tail in shortened(batch.tails, subscriber.wish) { socket.unread.append(tail) }
            socket.unreadBytes += batch.byteCount
            if flow == .pulled(more: false) { socket.unread.append(nil) }
        }
        subscriber.socket = socket
    }

    func drained(_ subscriber: Subscriber) -> [Follower.Event] {
        guard let id = subscriber.socket?.id, case .ready(let lost) = subscriber.socket?.feed.drained()
        else { return [] }
        return [.ready(id, lostAfter: forgotten(lost, subscriber))]
    }
}
