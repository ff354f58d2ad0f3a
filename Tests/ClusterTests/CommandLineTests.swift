import ClusterRuntime
import Foundation
import NodeProcesses
import Testing

/// Exit codes and messages of the verbs that need no cluster.
@Suite(.serialized) final class CommandLineTests {
    private let cluster: TestCluster

    init() throws { cluster = try TestCluster() }

    deinit { cluster.remove() }

    @Test(arguments: [
        [], ["up"], ["node"], ["dev"], ["check"], ["status"], ["tail"], ["contacts"], ["verify"], ["account"],
        ["account", "add"], ["account", "import"], ["account", "list"], ["account", "remove"], ["token"], ["drill"],
        ["sim"], ["drain"], ["undrain"], ["move"], ["explain"], ["apply"], ["restart"],
    ])
    func everyVerbTeaches(verb: [String]) async throws {
        let (ending, help) = try await run(verb + ["--help"])
        #expect(ending == .exited(0))
        #expect(help.contains("rollcall") && help.contains("USAGE"))
        #expect(verb.isEmpty || help.contains("Example: "), "\(help)")
    }

    @Test(arguments: [
        ["frobnicate"], ["up"], ["status", "x.yaml", "--no-such-option"], ["dev", "--port-base", "0"],
        ["check", "/nonexistent.yaml"], ["token", "/nonexistent.yaml", "--domain", "demo.example"],
        ["drill", "/nonexistent.yaml", "/nonexistent.yaml"],
    ])
    func badUsageAndBadFilesExitWithTwo(arguments: [String]) async throws {
        let (ending, output) = try await run(arguments)
        #expect(ending == .exited(2), "\(output)")
        #expect(!output.isEmpty)
    }

    @Test func aBadTopologyIsReportedLineByLine() async throws {
        let file = "\(cluster.directory)/bad.yaml"
        try "cluster: x\nperiodes: { }\n".write(toFile: file, atomically: true, encoding: .utf8)
        let (ending, output) = try await run(["check", file])
        #expect(ending == .exited(2))
        #expect(output.contains("\(file):2: unknown key `periodes`; expected `periods`"))
    }

    @Test func aGoodTopologyIsSaidToBeValid() async throws {
        let (ending, output) = try await run(["check", cluster.topologyFile, "--json"])
        #expect(ending == .exited(0))
        #expect(output == #"{"ok":true,"problems":[]}"# + "\n")
    }

    @Test(arguments: [["status"], ["contacts", "--domain", "demo.example"], ["verify"]])
    func withoutAClusterTheExitCodeIsThree(verb: [String]) async throws {
        let (ending, output) = try await run([verb[0], cluster.topologyFile] + verb.dropFirst())
        #expect(ending == .exited(3), "\(output)")
    }

    @Test func anUnknownDomainIsBadInput() async throws {
        let (ending, output) = try await run(["tail", cluster.topologyFile, "--domain", "other.example"])
        #expect(ending == .exited(2))
        #expect(output.contains("expected one of demo.example"))
    }

    @Test func accountsAreAddedListedAndRemoved() async throws {
        let file = cluster.topologyFile
        let account = ["--domain", "demo.example", "--kind", "sipuser"]
        #expect(try await run(["account", "add", file, "2001", "--password", "x"] + account).ending == .exited(0))
        #expect(try await run(["account", "add", file, "2001", "--password", "x"] + account).ending == .exited(1))
        let listed = try await run(["account", "list", file, "--json"])
        #expect(listed.output.contains(#""name":"2001""#))
        #expect(try await run(["account", "remove", file, "2001"] + account).ending == .exited(0))
        #expect(try await run(["account", "remove", file, "2001"] + account).ending == .exited(1))
    }

    @Test func aTokenIsPrintedAlone() async throws {
        let (ending, output) = try await run(["token", cluster.topologyFile, "--domain", "demo.example"])
        #expect(ending == .exited(0))
        #expect(output.split(separator: ".").count == 3 && output.split(separator: "\n").count == 1)
    }

    @Test func anAdminTokenIsForTheWholeCluster() async throws {
        let file = cluster.topologyFile
        let (ending, output) = try await run(["token", file, "--admin", "--ttl", "60", "--json"])
        #expect(ending == .exited(0))
        #expect(output.contains(#""scope":"admin""#) && !output.contains(#""domain""#), "\(output)")
        for wrong in [["--admin", "--domain", "demo.example"], ["--admin", "--user", "u1"], []] {
            #expect(try await run(["token", file] + wrong).ending == .exited(2))
        }
    }

    /// Two clusters on the same ports, in directories of their own.
    @Test func aSecondClusterOnTheSamePortsGivesUp() async throws {
        try await cluster.whileUp { cluster, _ in
            let other = "\(cluster.directory)/other"
            try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
            for name in ["test.yaml", "accounts.yaml"] {
                try FileManager.default.copyItem(
                    atPath: "\(cluster.directory)/\(name)", toPath: "\(other)/\(name)")
            }
            let (ending, output) = try await run(["up", "\(other)/test.yaml"])
            #expect(ending == .exited(3), "\(output)")
            #expect(output.components(separatedBy: "Another cluster may be running here").count == 2, "\(output)")
            #expect(!output.contains("is healthy"), "\(output)")
        }
    }

    private func run(_ arguments: [String]) async throws -> (ending: ChildProcess.Ending, output: String) {
        let log = "\(cluster.directory)/cli-\(UInt32.random(in: 0 ... .max)).out"
        let process = try await ChildProcess.start(
            .init(
                executable: TestCluster.program, arguments: arguments, log: log))
        let ending = await process.wait()
        return (ending, (try? String(contentsOfFile: log, encoding: .utf8)) ?? "")
    }
}
