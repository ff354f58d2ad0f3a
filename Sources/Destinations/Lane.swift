public import ClusterRuntime
import Dispatch
public import Logging
public import RegistrarEvents
import Synchronization

/// Runs one destination's machine on an `sr` node: takes what owners publish, hands batches to the destination, and
/// keeps the spool. It has a queue of its own to work on, where the disk may take its time; owners never wait for it.
public final class Lane: Sendable {
    /// Publications that may wait for the lane. What comes beyond is missing, which the machine notices and has
    /// restated.
    private static let mailboxLimit = 65_536

    public let settings: LaneSettings
    private let destination: any Destination
    private let tell: @Sendable (DestinationNotice, DomainName) -> Void
    private let log: Logger
    private let work: DispatchQueue
    private let mailbox = Mailbox<LaneMachine.Event>(limit: mailboxLimit)
    private let state: Mutex<State>

    private struct State {
        var machine: LaneMachine
        var spool: Spool
        var wake: MonotonicInstant?
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
        var spool = Spool(directory: spoolDirectory)
        do {
            try spool.removeLeftovers()
        } catch {
            log.warning("destination \(settings.name): \(error)")
        }
        state = Mutex(State(machine: LaneMachine(settings: settings, seed: seed), spool: spool, wake: nil))
    }

    /// Takes a publication of a domain that the filter includes, and returns at once.
    public func publish(_ publication: Publication, of domain: DomainName) {
        // Beginnings and ends are few, and nothing would be noticed to be missing without them.
        let isVital =
            switch publication {
            case .began, .ended, .replay: true
            case .entries: false
            }
        post(.published(publication, of: domain), isVital: isVital)
    }

    /// Has a destination that wanted nothing any more told of everything again, by `clear` and replay.
    public func resume() { post(.resumed, isVital: true) }

    private func post(_ event: LaneMachine.Event, isVital: Bool) {
        guard mailbox.post(CollectionOfOne(event), isVital: isVital) else { return }
        work.async { self.turn() }
    }

    private func turn() {
        while let events = mailbox.take() {
            state.withLock { state in
                for event in events { perform(state.machine.handle(event, at: SystemClock.now()), &state) }
            }
        }
        setWake()
    }

    private func perform(_ directives: [LaneMachine.Directive], _ state: inout State) {
        for directive in directives {
            switch directive {
            case .deliver(let batch, let ticket): deliver(batch, ticket)
            case .tell(let notice, let domain): tell(notice, domain)
            case .spool(let events, let domain):
                do throws(SpoolError) {
                    try state.spool.append(events, of: domain)
                } catch {
                    fail(error, domain, &state)
                }
            case .unspool(let bytes, let domain):
                do throws(SpoolError) {
                    let events = try state.spool.read(bytes: bytes, of: domain)
                    perform(state.machine.handle(.unspooled(events, of: domain), at: SystemClock.now()), &state)
                } catch {
                    fail(error, domain, &state)
                }
            case .dropSpool(let domain): state.spool.drop(domain)
            case .forget(let domain): Task { await destination.forget(domain) }
            case .note(let note): log(note)
            }
        }
    }

    private func fail(_ error: SpoolError, _ domain: DomainName, _ state: inout State) {
        perform(state.machine.handle(.spoolFailed(error.description, of: domain), at: SystemClock.now()), &state)
    }

    private func deliver(_ batch: DestinationBatch, _ ticket: UInt64) {
        Task {
            do throws(DestinationError) {
                try await destination.deliver(batch)
                post(.delivered(ticket: ticket, of: batch.domain), isVital: true)
            } catch {
                post(.failed(error, ticket: ticket, of: batch.domain), isVital: true)
            }
        }
    }

    private func setWake() {
        let wait: Duration? = state.withLock { state in
            let now = SystemClock.now()
            guard let next = state.machine.nextWake(at: now) else { return nil }
            if let wake = state.wake, wake <= next, wake > now.monotonic { return nil }
            state.wake = next
            return max(next - now.monotonic, .zero)
        }
        guard let wait else { return }
        work.asyncAfter(deadline: .now() + .nanoseconds(Int(wait.nanoseconds))) { self.post(.tick, isVital: true) }
    }

    private func log(_ note: LaneMachine.Note) {
        let name = settings.name
        switch note {
        case .away(let why): log.warning("destination \(name) takes nothing: \(why)")
        case .back: log.notice("destination \(name) takes events again")
        case .gap(let domain, let why): log.warning("destination \(name): \(domain) has to be restated: \(why)")
        case .rejected(let domain, let events, let why):
            log.error("destination \(name) never takes \(events) events of \(domain): \(why)")
        case .fenced(let domain, let why): log.notice("destination \(name): \(domain) has a later owner: \(why)")
        case .gone(let why): log.error("destination \(name) wants nothing any more: \(why)")
        case .resumed: log.notice("destination \(name) is resumed")
        case .refused(let domain, let why): log.warning("destination \(name) does not take \(domain): \(why)")
        }
    }

    /// Lets the destination go. Nothing may be published afterwards.
    public func close() async { await destination.close() }

    /// How the destination fares.
    public var status: DestinationStatus { state.withLock { $0.machine.status(at: SystemClock.now()) } }
}
