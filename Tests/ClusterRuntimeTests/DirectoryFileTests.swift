import Digests
import Foundation
import RegistrarEvents
import Testing

@testable import ClusterRuntime

@Suite struct DirectoryFileTests {
    static let demo = DomainName("demo.example")!
    static let hash = PasswordHash(of: "secret", cost: .trivial).description

    private static func digits(_ bytes: Int) -> String { String(repeating: "0b", count: bytes) }

    /// A directory over a file with these lines under `demo.example`.
    private func withFile<Result>(
        _ lines: [String], header: String = "", _ body: (String) async throws -> Result
    ) async throws -> Result {
        try await TopologyFixture.withDirectory { directory in
            let path = directory + "/accounts.yaml"
            let text = header + "accounts:\n  demo.example:\n" + lines.map { "    - { \($0) }\n" }.joined()
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            return try await body(path)
        }
    }

    private func problems(_ lines: [String]) async throws -> [String] {
        try await withFile(lines) { path in
            do throws(DirectoryError) {
                _ = try FileDirectory(path: path)
                return []
            } catch {
                return error.description.split(separator: "\n").map {
                    $0.replacingOccurrences(of: path, with: "a.yaml")
                }
            }
        }
    }

    @Test func theExampleAccountsAreThereWithTheirPassword() async throws {
        let directory = try FileDirectory(path: TopologyFixture.repository + "/topology/accounts.yaml")
        for name in ["u1", "u57", "u100"] {
            #expect(
                await directory.verify(Self.demo, AccountID(.user, name), password: "secret") == .accepted)
        }
        for name in ["1001", "1100"] {
            #expect(
                await directory.verify(Self.demo, AccountID(.sipuser, name), password: "secret") == .accepted)
        }
        let acme = try #require(DomainName("acme.example"))
        #expect(await directory.verify(acme, AccountID(.user, "alice"), password: "secret") == .accepted)
        #expect(await directory.verify(Self.demo, AccountID(.user, "u1"), password: "Secret") == .refused)
        for name in ["u0", "u101", "u01", "u", "1001"] {
            #expect(directory.presence(Self.demo, AccountID(.user, name)) == .absent, "\(name)")
        }
        let listed = directory.list(Self.demo)
        #expect(listed.map(\.count) == [100] + Array(repeating: 1, count: 100))
        #expect(listed.filter(\.hasDigest).map(\.name) == (1001...1100).map(String.init))
        for algorithm in DigestAlgorithm.allCases {
            let expected = algorithm.hex { $0.append("1042:demo.example:secret") }
            #expect(directory.digest(Self.demo, "1042", algorithm) == .found(expected))
        }
    }

    @Test func neitherPasswordNorModeLeaks() async throws {
        try await TopologyFixture.withDirectory { directory in
            let path = directory + "/accounts.yaml"
            let accounts = try FileDirectory(path: path, create: true)
            try accounts.add(Self.demo, AccountID(.sipuser, "2001"), password: "hunter2hunter2")
            let text = try String(contentsOfFile: path, encoding: .utf8)
            #expect(!text.contains("hunter2"))
            let hashes = DigestHashes(name: "2001", realm: "demo.example", password: "hunter2hunter2")
            for algorithm in DigestAlgorithm.allCases {
                let hash = try #require(hashes.hash(algorithm))
                #expect(text.contains("\"\(hash)\""))
            }
            #expect(!text.contains("scrypt"), "a sipuser is checked by its digest hashes")
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
        }
    }

    @Test func whatIsWrittenIsReadBack() async throws {
        let lines = [
            "name: \"2001\", kind: sipuser, password_hash: \"\(Self.hash)\", "
                + "ha1_md5: \"\(String(repeating: "0a", count: 16))\", "
                + "ha1_sha256: \"\(String(repeating: "0b", count: 32))\"",
            "range: \"u1..u9\", kind: user, password_hash: \"\(Self.hash)\"",
        ]
        try await withFile(lines, header: "# Kept.\n\n") { path in
            let before = try FileDirectory(path: path)
            try before.add(Self.demo, AccountID(.user, "zoe"), password: "p")
            try before.remove(Self.demo, AccountID(.user, "u4"))
            let after = try FileDirectory(path: path)
            #expect(after.list(nil) == before.list(nil))
            #expect(after.list(nil).map(\.name) == ["u1..u3", "u5..u9", "zoe", "2001"])
            #expect(try String(contentsOfFile: path, encoding: .utf8).hasPrefix("# Kept.\n\naccounts:\n"))
            #expect(await after.verify(Self.demo, AccountID(.user, "u9"), password: "secret") == .accepted)
            // Written by an earlier version: offered what it has.
            let md5 = HexDigest([UInt8](repeating: 0x0a, count: 16).span)
            #expect(after.digest(Self.demo, "2001", .md5) == .found(md5))
            #expect(after.digest(Self.demo, "2001", .sha512_256) == .withoutHash)
        }
    }

    @Test func aChangedFileIsTakenAndABrokenOneIsNot() async throws {
        try await withFile(["name: amy, kind: user, password_hash: \"\(Self.hash)\""]) { path in
            let directory = try FileDirectory(path: path)
            let other = try FileDirectory(path: path)
            #expect(try directory.reloadIfChanged() == nil)
            try other.add(Self.demo, AccountID(.user, "ben"), password: "p")
            #expect(directory.presence(Self.demo, AccountID(.user, "ben")) == .absent)
            #expect(try directory.reloadIfChanged() == DirectoryChange())
            #expect(directory.presence(Self.demo, AccountID(.user, "ben")) == .present)
            try other.remove(Self.demo, AccountID(.user, "amy"))
            #expect(try directory.reloadIfChanged()?.removed == [.init(Self.demo, AccountID(.user, "amy"))])
            try "accounts: [".write(toFile: path, atomically: true, encoding: .utf8)
            #expect(throws: DirectoryError.self) { try directory.reloadIfChanged() }
            #expect(directory.presence(Self.demo, AccountID(.user, "ben")) == .present)
        }
    }

    @Test func changesOfTwoProcessesAreBothKept() async throws {
        try await withFile([]) { path in
            try "accounts: {}\n".write(toFile: path, atomically: true, encoding: .utf8)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<6 {
                    group.addTask {
                        let directory = try FileDirectory(path: path)
                        try directory.add(Self.demo, AccountID(.user, "u\(number)"), password: "p")
                    }
                }
                try await group.waitForAll()
            }
            #expect(try FileDirectory(path: path).list(nil).count == 6)
        }
    }

    @Test func mistakesAreToldWithTheirLines() async throws {
        let account = "kind: user, password_hash: \"\(Self.hash)\""
        let told = try await problems([
            "name: amy, \(account)",
            "name: amy, \(account)",
            "range: u1..u9, \(account)",
            "name: u3, \(account)",
            "range: u9..u1, \(account)",
            "name: bob, kind: user, password_hash: plaintext",
            "name: bob, kind: robot, password_hash: \"\(Self.hash)\"",
            "kind: user, password_hash: \"\(Self.hash)\"",
            "name: bob, passwd: x, \(account)",
            "name: \"1\", kind: sipuser",
            "name: \"2\", kind: sipuser, ha1_md5: \"\(Self.digits(16))\"",
            "name: \"3\", kind: sipuser, ha1_md5: \"\(Self.digits(16))\", ha1_sha256: \"\(Self.digits(31))\"",
            "range: \"4..9\", kind: sipuser, ha1_md5: \"\(Self.digits(16))\", ha1_sha256: \"\(Self.digits(32))\"",
            "name: cy, \(account), ha1_md5: \"\(Self.digits(16))\", ha1_sha256: \"\(Self.digits(32))\"",
            "name: \"5\", kind: sipuser, ha1_md5: \"\(Self.digits(16))\", ha1_sha256: \"\(Self.digits(32))\"",
        ])
        #expect(
            told.map { $0.split(separator: ":")[1] } == ["4", "6", "7", "8", "9", "10", "11"]
                + (12...16).map { "\($0)" })
        #expect(
            told.first
                == "a.yaml:4: accounts.demo.example[2]: user amy is there already; expected each account once"
        )
        #expect(!told.joined().contains("plaintext"))
    }

    @Test func aMissingFileIsToldUnlessItIsToBeMade() throws {
        #expect(throws: DirectoryError.self) { try FileDirectory(path: "/nowhere/accounts.yaml") }
    }
}
