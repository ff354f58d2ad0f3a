import ClusterRuntime
import Foundation

/// A topology that is right, for tests to spoil in one place at a time.
enum TopologyFixture {
    static let text = """
        cluster: test
        secret: { file: var/secret }
        coordinator: { kind: embedded, path: var/router.db }
        directory: { kind: file, path: accounts.yaml }
        domains:
          - { name: demo.example, replicas: 2 }
        sites:
          - name: main
            servers:
              - name: host-a
                address: 127.0.0.1
                nodes:
                  - { name: router1, role: router, cluster: 7001, admin: 8080 }
                  - { name: sr1, role: sr, cluster: 7101, admin: 8111 }
                  - { name: sr2, role: sr, cluster: 7102, admin: 8112 }
                  - { name: ws1, role: wssubscr, cluster: 7201, admin: 8121, websocket: { listen: 8101 } }
        """

    /// The same with a SIP gateway, on line 17.
    static let withGateway =
        text + "\n          - { name: sg1, role: sg, cluster: 7301, admin: 8131, sip: { udp: 5060, tcp: 5060 } }"

    static func replacing(_ old: String, _ new: String) -> String {
        let result = text.replacingOccurrences(of: old, with: new)
        precondition(text.contains(old), "nothing to replace: \(old)")
        return result
    }

    /// What is wrong with a text, as an operator sees it; empty when nothing is.
    static func problems(in text: String) -> [String] {
        do throws(TopologyError) {
            _ = try Topology.parse(text, path: "t.yaml")
            return []
        } catch {
            return error.problems.map(\.description)
        }
    }

    /// The root of the repository.
    static var repository: String {
        let here = URL(fileURLWithPath: #filePath)
        return here.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
    }

    /// Runs with a directory of its own that is removed afterwards.
    static func withDirectory<Result>(_ body: (String) async throws -> Result) async throws -> Result {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("rollcall-\(UUID())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }  // a leftover in /tmp fails nothing
        return try await body(directory.path)
    }
}
