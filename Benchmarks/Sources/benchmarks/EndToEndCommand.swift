import ArgumentParser
import Foundation

/// The whole path with real processes: REST, owner, standby, follower, websocket; then the owner is killed.
struct EndToEndCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "end-to-end",
        abstract:
            "Runs a real cluster under load, kills the owner, and reports latencies and times.",
        discussion: """
            Needs the release build (`make build`). Clients and subscribers are one process on the same machine, so
            rates are what it asks for; latencies and times are what the cluster took.
            """)

    @Option(help: "The program to run.")
    var rollcall = ".build/release/rollcall"
    @Option(help: "The cluster.")
    var topology = "topology/local.yaml"
    @Option(help: "Contacts of the domain.")
    var registrations = 20_000
    @Option(help: "How often, each with a cluster of its own.")
    var runs = 3
    @OptionGroup var output: OutputOptions

    /// What `rollcall drill --json` prints, as far as it is needed here.
    private struct Report: Decodable {
        struct Latency: Decodable {
            let p50: Double
            let p99: Double
        }
        let ok: Bool
        let lost: Int
        let stale: Int
        let acknowledged: Int
        let delivered: Int
        let accept_ms: Double?
        let converge_ms: Double?
        let latency_ms: Latency
    }

    func run() throws {
        guard FileManager.default.isExecutableFile(atPath: rollcall) else {
            throw ValidationError("\(rollcall) is missing; expected the release build: make build")
        }
        let reports = try (0..<runs).map { _ in try drill() }
        func row(_ value: (Report) -> Double, _ format: (Double) -> String) -> [String] {
            [Samples(reports.map(value)).text(format)]
        }
        var table = Table(
            "end to end, \(Format.whole(Double(registrations))) registrations, owner killed", columns: ["median"])
        table.add("acknowledgement p50, ms", row({ $0.latency_ms.p50 }, Format.tenths))
        table.add("acknowledgement p99, ms", row({ $0.latency_ms.p99 }, Format.tenths))
        let accept = Samples(reports.map { $0.accept_ms ?? .infinity })
        table.add(
            "kill to first write, ms", [accept.text(Format.tenths)],
            verdict: Format.verdict(accept.percentile(100) <= 500, "500 ms"))
        let converge = Samples(reports.map { $0.converge_ms ?? .infinity })
        table.add(
            "kill to all converged, ms", [converge.text(Format.tenths)],
            verdict: Format.verdict(converge.percentile(100) <= 1_500, "1,500 ms"))
        let broken = reports.reduce(0) { $0 + $1.lost + $1.stale }
        table.add("lost or stale", [Format.whole(Double(broken))], verdict: Format.verdict(broken == 0, "0"))
        table.add("acknowledged", row({ Double($0.acknowledged) }, Format.whole))
        table.add("events delivered", row({ Double($0.delivered) }, Format.whole))
        output.show([table])
    }

    private func drill() throws -> Report {
        let file = FileManager.default.temporaryDirectory.appending(path: "end-to-end-\(getpid()).yaml")
        let cluster = URL(fileURLWithPath: topology).path
        let text = """
            name: end to end
            topology: \(cluster)
            load: { domain: demo.example, registrations: \(registrations), renewals_per_s: 1000, churn_per_s: 100, \
            subscribers: 4 }
            steps: [ { at: 5s, kill: owner } ]
            for: 8s
            expect: { lost: 0, stale: 0 }

            """
        try Data(text.utf8).write(to: file)
        defer { unlink(file.path) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: rollcall)
        process.arguments = ["drill", cluster, file.path, "--json"]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus <= 1 else {
            throw ChildFailure(arguments: process.arguments ?? [], status: process.terminationStatus)
        }
        return try JSONDecoder().decode(Report.self, from: data)
    }
}
