import AccessTokens
import ArgumentParser
import ClusterClients
import ClusterRuntime
import Drills
import Foundation
import NodeProcesses
import RegistrarEvents

struct DrillCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drill",
        abstract: "Rehearse failures and check every promise from the outside.",
        discussion: """
            Starts a cluster of the topology with a private copy of its files, puts it under load, does to it what the \
            drill's steps say, and judges by what clients asked for, were told and saw. The times are from a fault \
            until the router's status showed it (detect), until the first write sent after it was acknowledged \
            (accept), and until every subscriber had the whole set again (converge). Exits with 1 when a promise was \
            broken.

            The servers of a topology that are not on loopback become hosts in a private network of the drill's own, \
            which takes root or user namespaces, /dev/net/tun, and Debian's iproute2 and util-linux. Where the \
            topology names etcd, the drill runs its members. Where it names Kafka at 127.0.0.1 or webhooks on \
            loopback, the drill runs those too, and what each was told must make the owner's list.

            Example: rollcall drill topology/local.yaml drills/kill-owner.yaml
                     rollcall drill topology/local.yaml drills/kill-owner.yaml --repeat 20 --json
            """)

    @OptionGroup var topology: TopologyArgument
    @Argument(help: "The drill file.", completion: .file(extensions: ["yaml", "yml"]))
    var drill: String
    @Option(name: .customLong("repeat"), help: "Do it this often, and print medians and 99th percentiles.")
    var repetitions = 1
    @Flag(help: "Rehearse on the cluster that runs on this machine, instead of one of the drill's own.")
    var useRunning = false
    @OptionGroup var json: JSONOption

    func validate() throws {
        guard (1...10_000).contains(repetitions) else {
            throw ValidationError("--repeat is \(repetitions); expected 1 to 10000")
        }
    }

    func run() async throws {
        guard ParentWatch.begin() else { throw CommandFailure.no("whoever started this is gone") }
        let run = DrillRun(
            drill: try DrillFile.load(path: drill), topology: try topology.load(), executable: Executable.path,
            useRunning: useRunning, credentials: Self.credentials, progress: { Console.error($0) })
        if !useRunning, run.drill.needsPrivateNetwork(on: run.topology), !PrivateNetwork.isEntered {
            try await PrivateNetwork.enter(executable: Executable.path)
        }
        signal(SIGPIPE, SIG_IGN)
        let repetitions = repetitions
        let asJSON = json.isOn
        let reports = try await TerminationSignals.run {
            var reports: [DrillReport] = []
            for number in 1...repetitions {
                if repetitions > 1 { Console.error("run \(number) of \(repetitions)") }
                let report = try await run.run()
                reports.append(report)
                if asJSON { try Console.json(report) } else { Console.line(DrillText(report).text) }
            }
            return reports
        }
        guard let reports else { throw CommandFailure.no("the drill was stopped; nothing is proved") }
        if repetitions > 1 {
            let summary = DrillSummary(reports)
            if asJSON { try Console.json(summary) } else { Console.line(DrillText.text(summary)) }
        }
        guard reports.allSatisfy(\.ok) else { throw CommandFailure.no() }
    }

    @Sendable
    static func credentials(_ topology: Topology, _ domain: DomainName) async throws -> DrillCredentials {
        let tokens = await AccessTokens(try topology.clusterSecret())
        guard tokens.isEnabled else { return DrillCredentials(admin: nil, service: nil) }
        let day: Duration = .seconds(86_400)
        return DrillCredentials(
            admin: try await tokens.mint(.admin, domain: nil, ttl: day),
            service: try await tokens.mint(domain: domain, ttl: day))
    }
}

/// A drill's report as a table.
struct DrillText {
    private let report: DrillReport

    init(_ report: DrillReport) { self.report = report }

    var text: String {
        var table = Table("\(report.drill):", report.ok ? "passed" : "FAILED")
        table.row("  lost, stale, duplicated", "\(report.lost), \(report.stale), \(report.duplicated)")
        table.row("  detect", Self.time(report.detect))
        table.row("  accept", Self.time(report.accept))
        table.row("  gap", Self.time(report.gap))
        table.row("  converge", Self.time(report.converge))
        table.row("  acknowledged, failed", "\(report.acknowledged), \(report.failed)")
        table.row("  events delivered", String(report.delivered))
        if let sip = report.sip {
            let answers = sip.answers.sorted { $0.key < $1.key }.map { "\($0.value) of \($0.key)" }
            table.row("  SIP answers", answers.joined(separator: ", "))
            table.row("  SIP errors, unanswered, sent again", "\(sip.errors), \(sip.unanswered), \(sip.retransmitted)")
        }
        if let packets = report.packets {
            table.row(
                "  packets passed, delayed, lost, cut",
                "\(packets.passed), \(packets.delayed), \(packets.lost), \(packets.cut)")
        }
        for told in report.destinations {
            table.row(
                "  \(told.name)",
                "\(told.contacts) contacts; \(told.events) events, \(told.repeated) repeated, "
                    + "\(told.deposed) of deposed owners")
        }
        if report.voided > 0 { table.row("  told by clear to be void", String(report.voided)) }
        for entry in report.connections {
            table.row(
                "  connections to \(entry.node)",
                "\(entry.lost) lost, \(entry.strays) for no reason; \(entry.resumed) resumed, "
                    + "\(entry.resynced) resynced, \(entry.elsewhere) elsewhere")
        }
        for restart in report.restarts {
            table.row("  restarted", "\(restart.nodes.count) nodes in \(restart.seconds) s")
        }
        let latency = report.latency
        table.row("  latency p50, p99, max", "\(latency.median), \(latency.p99), \(latency.max) ms")
        return ([table.text] + report.violations.map { "  - \($0)" }).joined(separator: "\n")
    }

    static func text(_ summary: DrillSummary) -> String {
        var table = Table("\(summary.drill): \(summary.passed) of \(summary.runs) passed", "p50", "p99", "max")
        for (name, spread) in [
            ("detect", summary.detect), ("accept", summary.accept), ("gap", summary.gap),
            ("converge", summary.converge),
        ] {
            table.row("  \(name)", time(spread?.median), time(spread?.p99), time(spread?.max))
        }
        return table.text
    }

    private static func time(_ milliseconds: Double?) -> String { milliseconds.map { "\($0) ms" } ?? "-" }
}
