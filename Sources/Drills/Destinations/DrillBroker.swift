import ClusterRuntime
import Foundation
import NodeProcesses
import Synchronization

/// The Kafka broker that a drill runs for its cluster, at the first address that the topology names. What it was given
/// it still has after `stop` and `start`.
final class DrillBroker: Sendable {
    let address: String
    private let port: Int
    private let directory: String
    private let process = Mutex<ChildProcess?>(nil)

    /// Made by `scripts/kafka-environment.sh`, beneath the working directory.
    static let program = ".build/destinations/kafka-broker"
    static let client = "/usr/bin/kcat"
    static let startLimit: Duration = .seconds(30)
    private static let stopGrace: Duration = .seconds(15)

    /// What of the Kafka of a topology a drill cannot start.
    static func problems(_ spec: KafkaSpec) -> [String] {
        var wrong: [String] = []
        if spec.tls != nil || spec.login != nil { wrong.append("Kafka is asked for with TLS or a user") }
        if spec.brokers.count != 1 || port(of: spec) == nil {
            wrong.append("Kafka is at \(spec.brokers.joined(separator: ", "))")
        }
        return wrong
    }

    private static func port(of spec: KafkaSpec) -> Int? {
        guard let broker = spec.brokers.first, broker.hasPrefix("127.0.0.1:") else { return nil }
        return Int(broker.dropFirst("127.0.0.1:".count))
    }

    init?(_ spec: KafkaSpec, directory: String) {
        guard let port = Self.port(of: spec) else { return nil }
        self.port = port
        self.directory = directory
        address = "127.0.0.1:\(port)"
    }

    /// Starts it, and waits until it answers.
    func start() async throws {
        let files = FileManager.default
        let program = files.currentDirectoryPath + "/" + Self.program
        guard files.isExecutableFile(atPath: program), files.isExecutableFile(atPath: Self.client) else {
            throw DrillFailure.unreachable(
                "there is no Kafka broker here: scripts/kafka-environment.sh makes \(Self.program), and kcat is needed")
        }
        let started = try await ChildProcess.start(
            .init(
                executable: "/usr/bin/setpriv",
                arguments: [
                    "--pdeathsig", "KILL", program, "start", "--data-dir", "\(directory)/kafka", "--only", "kafka",
                    "--kafka-port", "\(port)",
                ], log: "\(directory)/var/log/kafka.log"))
        process.withLock { $0 = started }
        let deadline = SystemClock.monotonic() + Self.startLimit
        while await !answers() {
            guard started.ending == nil, SystemClock.monotonic() < deadline else {
                throw DrillFailure.unreachable("the Kafka broker does not answer; its log is in \(directory)/var/log")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    func stop() async {
        let running = process.withLock { process in
            defer { process = nil }
            return process
        }
        await running?.stop(grace: Self.stopGrace)
    }

    private func answers() async -> Bool {
        // One that cannot be started has had no answer.
        let asked = try? await ChildProcess.start(
            .init(
                executable: Self.client, arguments: ["-L", "-b", address, "-m", "1"],
                log: "\(directory)/var/log/kcat.log"))
        return await asked?.wait() == .exited(0)
    }
}
