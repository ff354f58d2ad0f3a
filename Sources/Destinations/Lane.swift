public import ClusterRuntime
import Dispatch
import Foundation
public import Logging
public import RegistrarEvents
import Synchronization

/// Runs one destination's machine on an `sr` node: takes what owners publish, hands batches to the destination, and
/// keeps the spool. It has a queue of its own to work on, where the disk may take its time; owners never wait for it.
public final class Lane: Sendable {
    /// Publications of entries that may wait for the lane, and `queueBytes` of the settings at most. What comes beyond
    /// is missing, which the machine is told and has restated.
    private static let waitingLimit = 65_536

    public let settings: LaneSettings
    private let destination: any Destination
    private let tell: @Sendable (DestinationNotice, DomainName) -> Void
    private let log: Logger
    private let work: DispatchQueue
    private let mailbox = Mailbox<LaneMachine.Event>(limit: .max)
    private let waiting = Mutex(Waiting())
    private let state: Mutex<State>
    private let forgetting = Mutex(Forgetting())
    /// Used on `work` alone. Apart from the machine, since its status does not wait for the disk.
    private let spool: Mutex<Spool>

    private struct State {
        var machine: LaneMachine
        var wake: MonotonicInstant?
    }

    /// Domains that the destination is being told to forget.
    private struct Forgetting {
        var next: UInt64 = 0
        var underWay: [DomainName: (number: UInt64, task: Task<Void, Never>)] = [:]
    }

    /// What is in the mailbox.
    private struct Waiting {
        var publications = 0
        var bytes = 0
        /// Events that found no room behind the latest beginning or part of a replay, of domains that the machine is
        /// about to be told of.
        var missed: [DomainName: Int] = [:]
    }

    /// - Parameters:
    ///   - spoolDirectory: of this destination at this node alone; what it holds is removed.
    ///   - seed: for the spreading of pauses.
    ///   - tell: hands a notice to the domain's owner here; must return at once.
    public init(
        settings: LaneSettings, destination: any Destination, spoolDirectory: String, seed: UInt64,
        tell: @escaping @Sendable (DestinationNotice, DomainName) -> Void, log: Logger
    ) {
        self.settings = settings
        self.destination = destination
        self.tell = tell
        self.log = log
        work = DispatchQueue(label: "destination \(settings.name)")
        var spool = Spool(directory: spoolDirectory, limit: settings.spoolBytes)
        do {
            try spool.removeLeftovers()
        } catch {
            log.warning("destination \(settings.name): \(error)")
        }
        self.spool = Mutex(spool)
        state = Mutex(State(machine: LaneMachine(settings: settings, seed: seed), wake: nil))
    }

    /// Removes what an earlier life of the node has left on the journal's disk of destinations that are no more: nobody
    /// else does.
    /// - Parameters:
    ///   - directory: the one that those of all lanes are in, by the destinations' names.
    ///   - names: the destinations that there are.
    public static func removeSpools(in directory: String, but names: Set<String>, log: Logger) {
        // There is none before the first spool.
        let found = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        for name in found where !names.contains(name) {
            do {
                try FileManager.default.removeItem(atPath: "\(directory)/\(name)")
                log.info("removed the spool of \(name), which is no destination any more")
            } catch {
                log.warning("cannot remove the spool of \(name), which is no destination any more: \(error)")
            }
        }
    }

    /// Takes a publication of a domain that the filter includes, and returns at once.
    public func publish(_ publication: Publication, of domain: DomainName) {
        // Beginnings, ends and parts of replays are few, and nothing else would tell that they are missing.
        switch publication {
        case .entries(let entries, _): guard hasRoom(for: entries, of: domain) else { return }
        case .began, .replay:
            // What was missed before is made up for by this, and what is missed behind it has to be told by itself.
            let missed = waiting.withLock { $0.missed.removeValue(forKey: domain) }
            if let missed { post(.missed(events: missed, of: domain)) }
        case .ended: break
        }
        post(.published(publication, of: domain))
    }

    private func hasRoom(for entries: [LogEntry], of domain: DomainName) -> Bool {
        let weight = Self.weight(of: entries)
        let isFirstMissed: Bool? = waiting.withLock { waiting in
            guard waiting.publications < Self.waitingLimit,
                waiting.publications == 0 || waiting.bytes + weight <= settings.queueBytes
            else {
                waiting.missed[domain, default: 0] += entries.count
                return waiting.missed[domain] == entries.count
            }
            waiting.publications += 1
            waiting.bytes += weight
            return nil
        }
        if isFirstMissed == true { post(.missed(events: 0, of: domain)) }
        return isFirstMissed == nil
    }

    private static func weight(of entries: [LogEntry]) -> Int { entries.reduce(0) { $0 + $1.weight } }

    /// Has a destination that wanted nothing any more told of everything again, by `clear` and replay.
    public func resume() { post(.resumed) }

    private func post(_ event: LaneMachine.Event) {
        guard mailbox.post(CollectionOfOne(event)) else { return }
        work.async { self.turn() }
    }

    private func turn() {
        while let events = mailbox.take() {
            for (index, event) in events.enumerated() { handle(takenOut(event), isLast: index == events.count - 1) }
        }
        setWake()
    }

    /// There is room for as much again.
    private func takenOut(_ event: LaneMachine.Event) -> LaneMachine.Event {
        switch event {
        case .published(.entries(let entries, _), _):
            waiting.withLock { waiting in
                waiting.publications -= 1
                waiting.bytes -= Self.weight(of: entries)
            }
            return event
        case .missed(let known, let domain):
            let missed = waiting.withLock { $0.missed.removeValue(forKey: domain) } ?? 0
            return .missed(events: known + missed, of: domain)
        case .published, .delivered, .failed, .unspooled, .spoolFailed, .spoolFull, .resumed, .closed, .tick:
            return event
        }
    }

    private func handle(_ event: LaneMachine.Event, isLast: Bool = true) {
        perform(state.withLock { $0.machine.handle(event, isLast: isLast, at: SystemClock.now()) })
    }

    private func perform(_ directives: [LaneMachine.Directive]) {
        for directive in directives {
            switch directive {
            case .deliver(let batch, let ticket): deliver(batch, ticket)
            case .tell(let notice, let domain): tell(notice, domain)
            case .spool(let events, let domain):
                do throws(SpoolError) {
                    let added = try spool.withLock { (spool) throws(SpoolError) in
                        try spool.append(events, of: domain)
                    }
                    if added < events.count { handle(.spoolFull(Array(events[added...]), of: domain)) }
                } catch {
                    handle(.spoolFailed(error.description, of: domain))
                }
            case .unspool(let bytes, let domain):
                do throws(SpoolError) {
                    let events = try spool.withLock { (spool) throws(SpoolError) in
                        try spool.read(bytes: bytes, of: domain)
                    }
                    handle(.unspooled(events, of: domain))
                } catch {
                    handle(.spoolFailed(error.description, of: domain))
                }
            case .dropSpool(let domain): spool.withLock { $0.drop(domain) }
            case .forget(let domain): forget(domain)
            case .note(let note): log(note)
            }
        }
    }

    private func forget(_ domain: DomainName) {
        forgetting.withLock { forgetting in
            let number = forgetting.next
            forgetting.next += 1
            let before = forgetting.underWay[domain]?.task
            let task = Task {
                await before?.value
                await destination.forget(domain)
                self.forgetting.withLock { forgetting in
                    if forgetting.underWay[domain]?.number == number { forgetting.underWay[domain] = nil }
                }
            }
            forgetting.underWay[domain] = (number, task)
        }
    }

    private func deliver(_ batch: DestinationBatch, _ ticket: UInt64) {
        let forgetting = forgetting.withLock { $0.underWay[batch.domain]?.task }
        Task {
            await forgetting?.value
            do throws(DestinationError) {
                try await destination.deliver(batch)
                post(.delivered(ticket: ticket, of: batch.domain))
            } catch {
                post(.failed(error, ticket: ticket, of: batch.domain))
            }
        }
    }

    private func setWake() {
        let wait: Duration? = state.withLock { state in
            let now = SystemClock.now()
            guard let next = state.machine.nextWake() else { return nil }
            if let wake = state.wake, wake <= next, wake > now.monotonic { return nil }
            state.wake = next
            return max(next - now.monotonic, .zero)
        }
        guard let wait else { return }
        work.asyncAfter(deadline: .now() + .nanoseconds(Int(wait.nanoseconds))) { self.post(.tick) }
    }

    private func log(_ note: LaneMachine.Note) {
        let name = settings.name
        switch note {
        case .away(let why): log.warning("destination \(name) takes nothing: \(why)")
        case .back: log.notice("destination \(name) takes events again")
        case .gap(let domain, let why): log.warning("destination \(name): \(domain) has to be restated: \(why)")
        case .rejected(let domain, let events, let why):
            log.error("destination \(name) never takes \(events) events of \(domain): \(why)")
        case .fenced(let domain, let why):
            log.notice("destination \(name): \(domain) may have a later owner, and waits for its own: \(why)")
        case .moved(let domain, let why): log.notice("destination \(name): \(domain) has another place: \(why)")
        case .gone(let why): log.error("destination \(name) wants nothing any more: \(why)")
        case .resumed: log.notice("destination \(name) is resumed")
        case .refused(let domain, let why): log.warning("destination \(name) does not take \(domain): \(why)")
        }
    }

    /// Lets the destination go. Nothing goes out any more, and nothing may be published afterwards.
    public func close() async {
        post(.closed)
        await destination.close()
    }

    /// How the destination fares.
    public var status: DestinationStatus { state.withLock { $0.machine.status(at: SystemClock.now()) } }

    /// The status without what concerns single domains.
    public var summary: DestinationStatus { state.withLock { $0.machine.summary(at: SystemClock.now()) } }

    /// How long what has waited longest in memory has.
    public var lagMilliseconds: Int64 { state.withLock { $0.machine.lagMilliseconds(at: SystemClock.now()) } }
}
