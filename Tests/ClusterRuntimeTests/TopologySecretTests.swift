import ClusterRuntime
import Foundation
import Testing

@Suite struct TopologySecretTests {
    @Test func processesThatStartTogetherAgreeOnTheSecret() async throws {
        try await TopologyFixture.withDirectory { directory in
            let topology = try Topology.parse(TopologyFixture.text, path: directory + "/t.yaml")
            let keys = try await withThrowingTaskGroup(of: [UInt8]?.self) { group in
                for _ in 0..<16 { group.addTask { try topology.clusterSecret()?.key(for: "test") } }
                return try await group.reduce(into: Set<[UInt8]?>()) { $0.insert($1) }
            }
            #expect(keys.count == 1)
            #expect(keys.first??.count == 32)
            let attributes = try FileManager.default.attributesOfItem(atPath: directory + "/var/secret")
            #expect(attributes[.posixPermissions] as? Int == 0o600)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory + "/var") == ["secret"])
        }
    }

    @Test func keysOfDifferentPurposesDiffer() {
        let secret = ClusterSecret([UInt8](repeating: 7, count: 32))
        #expect(secret.key(for: "token") == secret.key(for: "token"))
        #expect(secret.key(for: "token") != secret.key(for: "frame"))
        #expect(secret.key(for: "frame", context: [1]) != secret.key(for: "frame", context: [2]))
        #expect(!"\(secret)".contains("7, 7"))
    }

    @Test(arguments: ["", "abcd", String(repeating: "zz", count: 32), String(repeating: "a", count: 65)])
    func aFileThatHoldsNoSecretIsRefused(_ contents: String) async throws {
        try await TopologyFixture.withDirectory { directory in
            let path = directory + "/secret"
            let made = FileManager.default.createFile(
                atPath: path, contents: Data(contents.utf8), attributes: [.posixPermissions: 0o600])
            #expect(made)
            let text = TopologyFixture.replacing("var/secret", "secret")
            let topology = try Topology.parse(text, path: directory + "/t.yaml")
            #expect(throws: ClusterSecretError.self) { try topology.clusterSecret() }
        }
    }

    @Test func aSecretThatEverybodyMayReadIsRefused() async throws {
        try await TopologyFixture.withDirectory { directory in
            let contents = Data(String(repeating: "ab", count: 32).utf8)
            let made = FileManager.default.createFile(
                atPath: directory + "/secret", contents: contents, attributes: [.posixPermissions: 0o644])
            #expect(made)
            let text = TopologyFixture.replacing("var/secret", "secret")
            let topology = try Topology.parse(text, path: directory + "/t.yaml")
            let error = #expect(throws: ClusterSecretError.self) { try topology.clusterSecret() }
            #expect(error?.description.hasSuffix("expected mode 0600") == true)
        }
    }

    @Test func thereIsNoSecretWhereTheTopologySaysNone() throws {
        let text = TopologyFixture.replacing("{ file: var/secret }", "none")
        let secret = try Topology.parse(text, path: "t.yaml").clusterSecret()
        #expect(secret?.description == nil)
    }
}
