import ClusterRuntime

/// The network between nodes, and what a program of the wire version before says and hears of it.
extension World {
    mutating func send(_ message: Message, from name: NodeName, to peer: NodeName) {
        guard let node = nodes[name], nodes[peer] != nil,
            let message = node.isFormer ? FormerWire.known(message) : message
        else { return }
        let link = Link(from: name, to: peer)
        let counter = (node.sentCounter[peer] ?? 0) + 1
        node.sentCounter[peer] = counter
        guard !blocked.contains(link), !(isLossy && random.chance(options.loss)) else { return }
        let step = Step.deliver(message, from: node.life, counter: counter)
        let delay = random.microseconds(100...(options.maximumDelay * 1_000))
        var arrival = now + delay + .milliseconds((slowness[name] ?? 0) + (slowness[peer] ?? 0))
        if isLossy, random.chance(options.reordering) {
            arrival += random.duration(1...50)
        } else {
            arrival = max(arrival, lastArrival[link] ?? .distantPast)
            lastArrival[link] = arrival
        }
        queue.add(.step(peer, step), at: arrival)
        if isLossy, random.chance(options.duplication) {
            queue.add(.step(peer, step), at: arrival + random.duration(0...80))
        }
    }

    /// What a transport promises: at most once, in order, from the latest life of the sender.
    mutating func receive(_ message: Message, from sender: NodeID, _ counter: UInt64, at name: NodeName) {
        guard let node = nodes[name] else { return }
        if let last = node.taken[sender.name] {
            guard (last.incarnation, last.counter) < (sender.incarnation, counter) else { return }
        }
        node.taken[sender.name] = (sender.incarnation, counter)
        guard let known = node.isFormer ? FormerWire.known(message) : message else {
            trace.message(now, message, from: sender, to: name, ", which it passes over")
            return
        }
        if !node.isFormer, lacksFields(known) { return }
        trace.message(now, known, from: sender, to: name)
        handle(known, from: sender, at: name)
    }
}
