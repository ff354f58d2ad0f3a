import ClusterRuntime
import Destinations
import RegistrarEvents
import SRActor

/// The shells of destinations: what a node hands to the broker arrives there later, as does the answer, or is lost.
extension World {
    static let broker = "broker"

    func makeLane(of life: NodeID) -> LaneTwin? {
        guard options.hasBroker else { return nil }
        let settings = LaneSettings(
            name: Self.broker, kind: "simulated", batch: BatchLimits(events: 50),
            domainQueueBytes: options.brokerQueueBytes, queueBytes: 2 * options.brokerQueueBytes,
            spoolBytes: options.brokerSpoolBytes, firstPause: .milliseconds(50), longestPause: .milliseconds(500))
        return LaneTwin(machine: LaneMachine(settings: settings, seed: life.incarnation))
    }

    /// What an owner publishes comes to the lane, unless too much waits in front of it already.
    mutating func publish(_ publication: Publication, of domain: DomainName, at node: SimulatedNode) {
        if case .entries(let entries, _) = publication, options.missed > 0, brokerChance.chance(options.missed) {
            return post(.missed(events: entries.count, of: domain), to: node.life, at: now)
        }
        post(.published(publication, of: domain), to: node.life, at: now)
    }

    /// What waits on the disk is what the machine counts, and no more than it may be.
    mutating func checkLane(of node: SimulatedNode) {
        guard let lane = node.lane else { return }
        let written = lane.spooledBytes
        let counted = lane.machine.summary(at: moment(of: node.name)).spooledBytes
        if written > options.brokerSpoolBytes || written != Int(counted) {
            history.violate(
                "limits",
                "\(node.name) has \(written) bytes in its spool, counts \(counted), and may have "
                    + "\(options.brokerSpoolBytes)")
        }
    }

    /// Hands the lane something once everything that happens now has happened, as its mailbox does.
    mutating func post(_ event: LaneMachine.Event, to life: NodeID, at time: MonotonicInstant) {
        queue.add(.step(life.name, .lane(event, life: life)), at: time)
    }

    mutating func handle(_ event: LaneMachine.Event, of life: NodeID) {
        guard let node = nodes[life.name], node.life == life,
            let directives = node.lane?.machine.handle(event, at: moment(of: life.name))
        else { return }
        for directive in directives {
            switch directive {
            case .deliver(let batch, let ticket): hand(over: batch, ticket, from: life)
            case .tell(let notice, let domain):
                if has(.leavesOutReplays), case .replay = notice { continue }
                queue.add(.step(life.name, .notice(notice, domain, life: life)), at: now)
            case .spool(let events, let domain):
                if fullDisks.contains(life.name) {
                    handle(.spoolFailed("the disk is full", of: domain), of: life)
                } else {
                    node.lane?.spool[domain, default: []].append(events)
                }
            case .unspool(let bytes, let domain):
                let events = node.lane?.read(bytes: bytes, of: domain) ?? []
                handle(.unspooled(events, of: domain), of: life)
            case .dropSpool(let domain): if !has(.keepsDroppedSpools) { node.lane?.spool[domain] = nil }
            case .forget: break
            case .note(let note): trace.note(now, "\(life.name) broker: \(note)")
            }
        }
    }

    private mutating func hand(over batch: DestinationBatch, _ ticket: UInt64, from life: NodeID) {
        if has(.countsWhatIsUnderWay), let last = batch.events.last?.position {
            let notice = DestinationNotice.delivered(last, to: Self.broker)
            queue.add(.step(life.name, .notice(notice, batch.domain, life: life)), at: now)
        }
        let delay = brokerDelay()
        queue.add(.broker(batch, ticket: ticket, from: life), at: now + delay)
    }

    /// Once all is healed the broker is quick: nothing is told of the time to settle.
    private mutating func brokerDelay() -> Duration {
        brokerChance.duration(1...(isLossy ? options.brokerDelay : min(options.brokerDelay, 10)))
    }

    /// A batch arrives, or finds nobody. Its answer may be lost: then it comes again.
    mutating func arrive(_ batch: DestinationBatch, _ ticket: UInt64, from life: NodeID) {
        let back = now + brokerDelay()
        let failure = DestinationError(.unavailable, "simulated")
        guard !broker.isAway else {
            return post(.failed(failure, ticket: ticket, of: batch.domain), to: life, at: back)
        }
        if isLossy, options.refused > 0, brokerChance.chance(options.refused) {
            let kinds: [DestinationError.Kind] = [.domainUnavailable, .moved, .fenced]
            let refusal = DestinationError(kinds[Int.random(in: 0...2, using: &brokerChance)], "simulated")
            trace.note(now, "broker refuses \(batch.domain) from \(life): \(refusal.kind)")
            return post(.failed(refusal, ticket: ticket, of: batch.domain), to: life, at: back)
        }
        for event in batch.events {
            broker.taken += 1
            let isNews = broker.consumers[batch.domain, default: .init()].take(event)
            trace.note(
                now,
                "broker takes \(batch.domain) \(Trace.describe(event.entry, epoch: event.epoch)) from \(life)"
                    + (isNews ? "" : ", which it has"))
        }
        if isLossy, brokerChance.chance(options.unanswered) {
            post(.failed(failure, ticket: ticket, of: batch.domain), to: life, at: back)
        } else {
            post(.delivered(ticket: ticket, of: batch.domain), to: life, at: back)
        }
    }

    /// What an owner tells its standbys that the destination has must be there: nobody else would deliver it. For what
    /// was dropped in an earlier epoch the `clear` stands that begins this one, and each that comes.
    mutating func check(_ cursors: [DestinationCursor], of domain: DomainName, in epoch: UInt64) {
        for cursor in cursors where cursor.position > broker.position(in: domain) && cursor.position.epoch == epoch {
            history.violate(
                "a destination gets everything",
                "\(domain): \(cursor.position) counts as delivered, the broker has \(broker.position(in: domain))")
        }
    }

    /// Whether the consumers have everything. What is restated for the destination alone comes at one position: there
    /// the consumer has as much as the owner only at its end.
    func lacksEvents(_ domain: DomainName, of owner: DomainMachine) -> String? {
        guard options.hasBroker else { return nil }
        guard broker.position(in: domain) == owner.report.position else {
            return "the broker's consumer of \(domain) is at \(broker.position(in: domain)), the owner at "
                + "\(owner.report.position)"
        }
        let count = broker.consumers[domain]?.set.count ?? 0
        let expected = owner.replica.table.currentCount
        return count == expected ? nil : "the broker's consumer of \(domain) has \(count) of \(expected) contacts"
    }

    /// A consumer that starts empty and applies what it is told holds the owner's list.
    mutating func compareConsumer(of domain: DomainName, with list: [ContactKey: PackedContact]) {
        guard options.hasBroker, let consumer = broker.consumers[domain] else { return }
        if let gap = consumer.gap {
            history.violate("a destination gets everything", "\(domain): after \(gap) events are missing, untold")
        }
        let keys = Set(consumer.set.keys).union(list.keys).filter { consumer.set[$0] != list[$0] }.sorted()
        if let key = keys.first {
            history.violate("a consumer keeps the set", "broker \(domain) differs in \(keys.count), as in \(key)")
        }
    }

    /// Plans when the broker is away. Drawn from a generator of their own, as are its delays, so that histories without
    /// it are as they were before there was any.
    mutating func planOutagesOfBroker(until end: MonotonicInstant, seed: UInt64) {
        guard options.hasBroker else { return }
        var random = SplitMix64(seed: seed ^ 0x6f75_7461_6765_7321)
        var time = now + .seconds(3)
        while time < end {
            queue.add(.act(.fault(.brokerOutage, for: random.duration(100...3_000))), at: time)
            time += random.duration(500...5_000)
        }
    }
}
