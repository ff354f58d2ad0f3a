import ClusterRuntime
import Foundation
import RegistrarEvents
import Testing

@testable import Drills
@testable import NodeProcesses

@Suite struct LinkTableTests {
    private func verdicts(_ table: inout LinkTable) -> [String] {
        (0..<3).flatMap { from in
            (0..<3).compactMap { to -> String? in
                guard from != to else { return nil }
                return table.verdict(from: from, to: to) == .drop ? "\(from)>\(to)" : nil
            }
        }
    }

    @Test(
        arguments: [
            ([0], DrillFile.Way.both, ["0>1", "0>2", "1>0", "2>0"]),
            ([0], .in, ["1>0", "2>0"]), ([0], .out, ["0>1", "0>2"]),
            // Within a site all goes on.
            ([0, 1], .both, ["0>2", "1>2", "2>0", "2>1"]), ([0, 1], .in, ["2>0", "2>1"]),
        ])
    func aCutTakesTheLinksBetweenTheSides(hosts: [Int], way: DrillFile.Way, dropped: [String]) {
        let side = Set(hosts)
        var table = LinkTable(hosts: 3, seed: 1)
        table.change(side, way) { $0.isCut = true }
        #expect(verdicts(&table) == dropped)
        #expect(table.counts.cut == dropped.count && table.counts.passed == 6 - dropped.count)
        table.change([0, 1, 2], .both) { $0 = LinkTable.Fault() }
        #expect(verdicts(&table) == [])
    }

    @Test func clientsReachEverybodyWhateverHappens() {
        var table = LinkTable(hosts: 2, seed: 1)
        table.change([0], .both) { $0.isCut = true }
        #expect(table.verdict(from: nil, to: 0) == .pass)
        #expect(table.verdict(from: 0, to: nil) == .pass)
    }

    @Test func aLossyLinkLosesItsShare() {
        var table = LinkTable(hosts: 2, seed: 7)
        table.change([0, 1], .both) { $0.loss = 0.2 }
        let dropped = (0..<10_000).count { _ in table.verdict(from: 0, to: 1) == .drop }
        #expect((1_800...2_200).contains(dropped))
        #expect(table.counts.lost == dropped && table.counts.passed == 10_000 - dropped)
    }

    @Test func aSlowLinkHoldsInBothDirections() {
        var table = LinkTable(hosts: 2, seed: 7)
        table.change([1], .both) { $0.delay = .milliseconds(200) }
        #expect(table.verdict(from: 0, to: 1) == .hold(.milliseconds(200)))
        #expect(table.verdict(from: 1, to: 0) == .hold(.milliseconds(200)))
        #expect(table.counts.delayed == 2)
    }
}

@Suite struct IsolationTests {
    private func at(_ milliseconds: Int64) -> MonotonicInstant { .distantPast + .milliseconds(milliseconds) }

    private func write(_ contact: Int, through node: String, sent: Int64, ended: Int64, ok: Bool = true)
        -> Drills.Operation
    {
        Drills.Operation(
            contact: contact, kind: .register(ttl: .seconds(600)), sent: at(sent), ended: at(ended),
            outcome: ok ? .acknowledged(Position(epoch: 1, seq: UInt64(contact + 1)), changed: true) : .unknown("late"),
            node: NodeName(node))
    }

    @Test func acknowledgementsFromACutOffSideAreStaleOnceTheLeaseIsOver() {
        let isolation = Isolation(nodes: [NodeName("ws1"), NodeName("sr1")], since: at(1_000), until: at(9_000))
        let operations: [Drills.Operation] = [
            write(0, through: "ws1", sent: 900, ended: 950),  // before
            write(1, through: "ws1", sent: 1_700, ended: 1_720),  // under the lease
            write(2, through: "ws1", sent: 2_000, ended: 2_010),  // it cannot have been
            write(3, through: "ws2", sent: 2_000, ended: 2_010),  // of the other side
            write(4, through: "ws1", sent: 3_000, ended: 9_500),  // healed meanwhile
            write(5, through: "ws1", sent: 4_000, ended: 8_000, ok: false),
        ]
        let found = isolation.violations(lease: .milliseconds(800), operations)
        #expect(found.map(\.contact) == [2] && found.map(\.kind) == [.stale])
        let lasting = Isolation(nodes: isolation.nodes, since: at(1_000), until: nil)
        #expect(lasting.violations(lease: .milliseconds(800), operations).map(\.contact) == [2, 4])
    }

    @Test func whatAClearVoidedIsToldFromWhatIsLostInSilence() {
        let operations: [Drills.Operation] = [
            write(0, through: "ws1", sent: 10, ended: 20), write(1, through: "ws1", sent: 10, ended: 20),
            write(2, through: "ws1", sent: 10, ended: 20),
        ]
        var again = write(2, through: "ws1", sent: 30, ended: 40)
        again.outcome = .acknowledged(Position(epoch: 2, seq: 2), changed: true)
        func history(clearOf epoch: UInt64?, set: Set<Int>) -> History {
            History(
                operations: operations + [again],
                events: epoch.map { [Position(epoch: $0, seq: 1): LoggedEvent(.clear, nil)] } ?? [:],
                subscribers: [SubscriberRecord(name: "s", set: set)], list: [], takenAt: at(100))
        }
        let lost = (0...2).map { Violation(.lost, contact: $0, "missing") }
        // The one that somebody still holds was not told to everybody; the last one was acknowledged after the clear.
        #expect(history(clearOf: 2, set: [1]).voided(among: lost) == [0])
        #expect(history(clearOf: nil, set: []).voided(among: lost) == [])
        #expect(history(clearOf: 1, set: []).voided(among: lost) == [])
    }
}

/// A network of the drill's own. As with `rollcall drills`, a machine that makes none has to be said to be allowed to.
@Suite(.serialized, .timeLimit(.minutes(3)), .enabled("this machine makes no networks", { await mayHaveNetworks() }))
struct DrillHostTests {
    private static let topology = TestCluster.repository + "/topology/two-sites-etcd.yaml"
    private static let drill = TestCluster.repository + "/drills/short-cut-owner.yaml"

    @Test func aDrillThatIsKilledLeavesNothing() async throws {
        let log = FileManager.default.temporaryDirectory.appendingPathComponent("drill-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: log) }
        let process = try await ChildProcess.start(
            .init(executable: TestCluster.program, arguments: ["drill", Self.topology, Self.drill], log: log))
        func said() -> String { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }
        try await eventually("the cluster runs", within: .seconds(90)) {
            if process.ending != nil { throw NotInTime(description: said()) }
            return said().contains("registering")
        }
        let children = Self.processes(of: process.pid)
        #expect(children.count >= 14, "nodes, members of etcd and hosts: \(children)")
        process.signal(SIGKILL)
        _ = await process.wait()
        try await eventually("everything has ended") { children.allSatisfy { !Self.isAlive($0) } }
        let devices = try FileManager.default.contentsOfDirectory(atPath: "/sys/class/net")
        #expect(!devices.contains { $0.hasPrefix("host") || $0 == "clients" })
        let directories = try FileManager.default.contentsOfDirectory(
            atPath: FileManager.default.temporaryDirectory.path)
        for name in directories where name.hasPrefix("rollcall-drill-\(process.pid)-") {
            try FileManager.default.removeItem(
                at: FileManager.default.temporaryDirectory.appendingPathComponent(name))
        }
    }

    /// The processes that descend from one.
    private static func processes(of ancestor: pid_t) -> Set<pid_t> {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        var parents: [pid_t: pid_t] = [:]
        for pid in entries.compactMap({ pid_t($0) }) { parents[pid] = parent(of: pid) }
        var found: Set<pid_t> = [ancestor]
        while let more = Optional(Set(parents.filter { found.contains($0.value) }.keys)), !more.isSubset(of: found) {
            found.formUnion(more)
        }
        return found.subtracting([ancestor])
    }

    private static func parent(of pid: pid_t) -> pid_t? {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
            let fields = text.lastIndex(of: ")").map({ text[$0...].split(separator: " ") }), fields.count > 2
        else { return nil }
        return pid_t(fields[2])
    }

    private static func isAlive(_ pid: pid_t) -> Bool {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return false }
        return !text.contains(") Z ")
    }
}

/// - Returns: false only where none can be made and that is allowed for.
@Sendable private func mayHaveNetworks() async -> Bool {
    let options = ProcessInfo.processInfo.environment["DRILL_OPTIONS"] ?? ""
    guard options.contains("--without-network") else { return true }
    return await PrivateNetwork.refusal() == nil
}
