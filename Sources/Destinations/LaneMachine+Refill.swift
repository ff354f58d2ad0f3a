import ClusterRuntime
import DequeModule
import RegistrarEvents

/// What comes into memory beside what is published: from the spool, and by replays.
extension LaneMachine {
    /// What a part of a replay is taken for before it is there: 512 contacts of some 300 bytes.
    static let partBytes = 150_000

    /// Reads on from the spool, and goes on with a replay, where there is room again.
    mutating func refill(_ domain: DomainName, into directives: inout [Directive]) {
        guard let stream = streams[domain] else { return }
        // Whoever has something in memory comes here again once that is delivered.
        let isShort = stream.queuedBytes <= settings.domainQueueBytes / 2
        switch stream.replay {
        case .asked, .underWay(isAsked: true, _): return
        case .underWay(isAsked: false, let seq):
            // What was published meanwhile waits in the spool until everything is restated.
            guard isShort, mayAsk(domain) else { return }
            set(.underWay(isAsked: true, at: seq), of: domain)
            directives.append(.tell(.goOn(with: settings.name), of: domain))
        case .due where stream.isDrained:
            guard mayAsk(domain) else { return }
            set(.asked, of: domain)
            directives.append(.tell(.replay(to: settings.name), of: domain))
        case .none, .due:
            guard stream.spooledEvents > 0, isShort, queuedBytes < settings.queueBytes || stream.queue.isEmpty
            else { return }
            let room = max(settings.queueBytes - queuedBytes, settings.overdraftBytes)
            directives.append(.unspool(bytes: min(settings.domainQueueBytes / 2, room), of: domain))
        }
    }

    /// The one place where a domain's replay gets on, since those that are asked for are counted.
    mutating func set(_ replay: LaneStream.Replay, of domain: DomainName) {
        guard let former = streams[domain]?.replay else { return }
        asked += (replay.isAsked ? 1 : 0) - (former.isAsked ? 1 : 0)
        streams[domain]?.replay = replay
    }

    /// Whether there is room for one more part; where not, the domain asks later.
    private mutating func mayAsk(_ domain: DomainName) -> Bool {
        guard !hasRoomForPart else { return true }
        if isHungry.insert(domain).inserted { hungry.append(domain) }
        return false
    }

    /// Beside those that are asked for. What is kept of domains that are not taken goes nowhere, and is nothing that
    /// others could wait for.
    private var hasRoomForPart: Bool {
        let room = settings.queueBytes - asked * Self.partBytes
        return queuedBytes < room
            || streams.values.reduce(queuedBytes) { $0 - ($1.refusal == nil ? 0 : $1.queuedBytes) } < room
    }

    mutating func feedHungry(into directives: inout [Directive]) {
        while let domain = hungry.first, hasRoomForPart {
            hungry.removeFirst()
            isHungry.remove(domain)
            refill(domain, into: &directives)
        }
    }
}
