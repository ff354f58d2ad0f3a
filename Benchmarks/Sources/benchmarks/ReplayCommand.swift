import ArgumentParser
import ClusterRuntime
import Foundation
import Logging
import NanomsgTransport
import RegistrarEvents
import SRActor
import Synchronization

struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "An owner's list to a follower in another process, by snapshot and by replay, sealed.")

    static let defaultSizes = [100_000, 1_000_000]

    @Option(parsing: .upToNextOption, help: "Registrations; more than the ring of recent events holds.")
    var sizes = defaultSizes
    @Option(help: "Rounds, of which the median is shown.")
    var rounds = 3
    @OptionGroup var output: OutputOptions

    func validate() throws {
        // A shorter log would be sent as it is, without a snapshot.
        guard sizes.allSatisfy({ $0 > 65_536 }) else { throw ValidationError("sizes begin above 65,536") }
    }

    func run() throws { output.show(try Self.tables(sizes: sizes, rounds: rounds)) }

    private static let bar = 500_000.0

    static func tables(sizes: [Int], rounds: Int) throws -> [Table] {
        var table = Table(
            "Registrations from an owner to a follower in another process, sealed",
            columns: ["registrations/s (k)", "CPU ns/registration"])
        for size in sizes {
            let measurement = try ReplayMeasurement(size)
            defer { measurement.stop() }
            for (name, way) in [("snapshot", ReplayMeasurement.Way.snapshot), ("replay", .replay)] {
                let result = measurement.run(way, rounds: rounds)
                table.add(
                    "\(name) of \(Format.whole(Double(size)))",
                    [result.perSecond.text { Format.whole($0 / 1_000) }, result.cpu.text()],
                    verdict: Format.verdict(result.perSecond.median >= bar, ">= 500 k/s"))
            }
        }
        let contacts = 448
        let frame = chunkBody(contacts)
        let bare = try BareNanomsg.measure(frame: frame, frames: 500_000 / contacts, small: [0], rounds: rounds)
            .scaled(by: contacts)
        table.add(
            "bare nanomsg, bytes of chunks", [bare.perSecond.text { Format.whole($0 / 1_000) }, bare.cpu.text()])
        table.notes.append(
            "Until the follower has compared count and digest, or has everything restated. CPU: both processes.")
        return [table]
    }

    private static func chunkBody(_ count: Int) -> [UInt8] {
        let population = Population(count: count)
        let contacts = (0..<count).map { LiveContact(contact: population.contact($0), ttl: 3_600_000) }
        return CodecCommand.encodedBody([
            .chunk(
                SnapshotChunk(
                    domain: Population.domain, epoch: 1, snapshot: 1, index: 0, after: 0, contacts: contacts, seal: nil)
            )
        ])
    }
}

/// An owner with its shell in this process, and a follower in a child.
final class ReplayMeasurement {
    enum Way: UInt64 {
        case snapshot = 0
        case replay = 1
    }

    private let count: Int
    private let transport: NanomsgTransport
    private let actor: DomainActor
    private let child: ChildProcess
    private let running: Task<Void, any Error>
    private let finished = Progress()
    private let node = NodeID(name: TransportPair.a, incarnation: 1)
    private var assignment: Assignment
    private var round: UInt64 = 0

    init(_ count: Int) throws {
        self.count = count
        let pair = TransportPair(isSealed: true)
        transport = pair.transport(TransportPair.a)
        child = try ChildProcess(["replay-follower"] + pair.arguments)
        let lease = LeaseHolder()
        lease.extend(to: SystemClock.monotonic() + .seconds(3_600))
        actor = DomainActor(
            machine: DomainMachine(domain: Population.domain, node: node, replica: Self.replica(count)),
            transport: transport, journal: NoJournal(), routers: RouterNames([]), lease: lease, mailboxLimit: 80_000,
            log: Logger(label: "benchmarks", factory: { _ in SwiftLogNoOpLogHandler() }))
        assignment = Assignment(
            domain: Population.domain, epoch: 1, revision: 1, owner: node, standbys: [], cause: .restart, since: 0)
        running = TransportPair.start(transport) { [actor, finished] event in
            guard case .received(let messages, let sender) = event else { return }
            for message in messages {
                switch message {
                case .follow(let follow): actor.post([.follow(follow, from: sender)])
                case .copies(let copies):
                    for report in copies.reports {
                        precondition(report.sipusers == count, "the follower holds \(report.sipusers) of \(count)")
                        finished.reach(report.users)
                    }
                case .heartbeat, .lead, .assignments, .replicaChange, .request, .reply, .append, .chunk, .handOver,
                    .topology, .retire:
                    break
                }
            }
        }
        actor.post([.assigned(assignment)])
        while actor.report.position.seq <= count { usleep(1_000) }
    }

    func stop() {
        running.cancel()
        child.stop()
    }

    private static func replica(_ count: Int) -> DomainReplica {
        let population = Population(count: count)
        var replica = DomainReplica()
        let deadline = replica.time(at: SystemClock.now()) + 3_600_000
        for index in 0..<count { replica.table.put(population.contact(index), deadline: deadline) }
        replica.isComplete = true
        return replica
    }

    func run(_ way: Way, rounds: Int) -> TransportResult {
        var result = TransportResult()
        for _ in 0..<rounds {
            round += 1
            let start = (Measuring.wall(), Measuring.processCPU() + child.cpuTime)
            if way == .replay {
                assignment.epoch += 1
                assignment.revision += 1
                assignment.cause = .failover
                actor.post([.assigned(assignment)])
            }
            tellFollower(way)
            result.perSecond.add(Double(count) / Double(Measuring.wall() - start.0) * 1e9)
            result.cpu.add(Double(Measuring.processCPU() + child.cpuTime - start.1) / Double(count))
        }
        return result
    }

    /// Lets the follower begin, and waits until it has everything. The first word may be lost: nobody listens yet.
    private func tellFollower(_ way: Way) {
        let update = AssignmentUpdate(term: way.rawValue, from: round, to: round, assignments: [assignment])
        for _ in 0..<30 {
            transport.send(.assignments(update), to: TransportPair.b)
            if finished.wait(for: round, seconds: 2) { return }
        }
        preconditionFailure("round \(round) (\(way)) came to a halt at \(actor.report.position)")
    }
}

/// The child: a follower's receiver, and nothing behind it.
struct ReplayFollower: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "replay-follower", shouldDisplay: false)

    @Argument var kind: String
    @Argument var portA: UInt16
    @Argument var portB: UInt16

    func run() throws {
        endWithParent()
        let pair = TransportPair(isSealed: kind == "sealed", portA: portA, portB: portB)
        let transport = pair.transport(TransportPair.b)
        let held = Held(transport)
        let running = TransportPair.start(transport) { event in
            guard case .received(let messages, let sender) = event else { return }
            held.follower.withLock { $0.take(messages, from: sender) }
        }
        while !running.isCancelled {
            usleep(100_000)
            held.follower.withLock { $0.tick() }
        }
    }

    private final class Held: Sendable {
        let follower: Mutex<Follower>
        init(_ transport: NanomsgTransport) { follower = Mutex(Follower(transport: transport)) }
    }

    private struct Follower {
        let transport: NanomsgTransport
        var receiver = ReplicaReceiver(domain: Population.domain, role: .follower)
        var round: UInt64 = 0
        var way = ReplayMeasurement.Way.snapshot

        mutating func take(_ messages: [Message], from sender: NodeID) {
            let now = SystemClock.now()
            for message in messages {
                switch message {
                case .assignments(let update): begin(update, at: now)
                case .append(let append): handle(.append(append, from: sender), at: now)
                case .chunk(let chunk): handle(.chunk(chunk, from: sender), at: now)
                case .heartbeat, .lead, .copies, .replicaChange, .request, .reply, .follow, .handOver, .topology,
                    .retire:
                    break
                }
            }
            handle(.turnEnded, at: now)
        }

        mutating func tick() { handle(.tick, at: SystemClock.now()) }

        /// A new round: with an empty copy, to get a snapshot, or with the copy there is, to see it restated.
        private mutating func begin(_ update: AssignmentUpdate, at now: Moment) {
            guard update.from > round, let assignment = update.assignments.first else { return }
            round = update.from
            way = update.term == 0 ? .snapshot : .replay
            if way == .snapshot { receiver = ReplicaReceiver(domain: Population.domain, role: .follower) }
            handle(.assigned(assignment), at: now)
        }

        private mutating func handle(_ event: ReplicaReceiver.Event, at now: Moment) {
            // In a statement of its own: as an argument to a method of this struct it would copy the whole list.
            let directives = receiver.handle(event, at: now)
            for directive in directives {
                switch directive {
                case .send(let message, let peer): transport.send(message, to: peer)
                case .resynced: if way == .snapshot { report() }
                case .replayed: if way == .replay { report() }
                case .alarm(let text): preconditionFailure(text)
                case .store, .applied, .accounts: break
                }
            }
        }

        private func report() {
            let report = CopyReport(
                domain: receiver.domain, position: receiver.replica.position, complete: receiver.replica.isComplete,
                // The number of the round, for want of a message of our own.
                users: round, sipusers: UInt64(receiver.replica.table.count), digest: receiver.replica.table.digest)
            transport.send(.copies(CopyReports(reports: [report])), to: TransportPair.a)
        }
    }
}
