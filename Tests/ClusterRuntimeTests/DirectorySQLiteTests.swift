import ClusterRuntime
import Digests
import Foundation
import RegistrarEvents
import SQLiteAccounts
import Testing

@Suite struct DirectorySQLiteTests {
    static let demo = DomainName("demo.example")!

    private func withPath(_ body: (String) async throws -> Void) async throws {
        try await TopologyFixture.withDirectory { try await body($0 + "/accounts.db") }
    }

    private func ha1(_ name: String, _ password: String) -> DigestLookup {
        .found(DigestAlgorithm.sha256.hex { $0.append("\(name):demo.example:\(password)") })
    }

    @Test func anotherProcesssChangesCountAfterAReload() async throws {
        try await withPath { path in
            let directory = try SQLiteDirectory(path: path, create: true)
            let other = try SQLiteDirectory(path: path)
            try other.add(Self.demo, AccountID(.sipuser, "2001"), password: "old")
            #expect(directory.digest(Self.demo, "2001", .sha256) == ha1("2001", "old"))
            try other.remove(Self.demo, AccountID(.sipuser, "2001"))
            try other.add(Self.demo, AccountID(.sipuser, "2001"), password: "new")
            // From memory still: looking there is what makes it quick.
            #expect(directory.digest(Self.demo, "2001", .sha256) == ha1("2001", "old"))
            #expect(try directory.reloadIfChanged()?.removed == [.init(Self.demo, AccountID(.sipuser, "2001"))])
            #expect(directory.digest(Self.demo, "2001", .sha256) == ha1("2001", "new"))
            #expect(try directory.reloadIfChanged() == nil)
        }
    }

    @Test func whatWasRemovedWhileNobodyLookedIsToldAtTheNextStart() async throws {
        try await withPath { path in
            do {
                let directory = try SQLiteDirectory(path: path, create: true)
                try directory.add(Self.demo, AccountID(.user, "amy"), password: "p")
                try directory.remove(Self.demo, AccountID(.user, "amy"))
            }
            let next = try SQLiteDirectory(path: path)
            #expect(try next.reloadIfChanged()?.removed == [.init(Self.demo, AccountID(.user, "amy"))])
            #expect(try next.reloadIfChanged() == nil)
        }
    }

    @Test func theCacheHoldsNoMoreThanItMay() async throws {
        try await withPath { path in
            var limits = Limits()
            for limit in [0, 3] {
                limits.cachedAccounts = limit
                let directory = try SQLiteDirectory(path: path, limits: limits, create: true)
                let names = (limit * 100..<limit * 100 + 8).map(String.init)
                try directory.add(names.map { NewAccount(Self.demo, AccountID(.sipuser, $0), password: "p") })
                for _ in 0..<3 {
                    for name in names { #expect(directory.digest(Self.demo, name, .sha256) == ha1(name, "p")) }
                }
                // What another process removes is seen at once where it is not at hand, which all but three are not.
                let other = try SQLiteDirectory(path: path)
                for name in names { try other.remove(Self.demo, AccountID(.sipuser, name)) }
                let present = names.filter { directory.presence(Self.demo, AccountID(.sipuser, $0)) == .present }
                #expect(present == names.suffix(limit))
            }
        }
    }

    @Test func theFileIsItsOwnersAloneAndHoldsNoPassword() async throws {
        try await withPath { path in
            let directory = try SQLiteDirectory(path: path, create: true)
            try directory.add(Self.demo, AccountID(.sipuser, "2001"), password: "hunter2hunter2")
            try directory.add(Self.demo, AccountID(.user, "amy"), password: "hunter2hunter2")
            for file in [path, path + "-wal"] {
                let attributes = try FileManager.default.attributesOfItem(atPath: file)
                #expect(attributes[.posixPermissions] as? Int == 0o600, "\(file)")
                let bytes = try Data(contentsOf: URL(filePath: file))
                #expect(bytes.range(of: Data("hunter2".utf8)) == nil, "\(file)")
            }
        }
    }

    @Test func whatIsNoDatabaseOfAccountsIsRefused() async throws {
        try await withPath { path in
            #expect(throws: DirectoryError.self) { try SQLiteDirectory(path: path) }
            try "accounts: {}\n".write(toFile: path, atomically: true, encoding: .utf8)
            let error = #expect(throws: DirectoryError.self) { try SQLiteDirectory(path: path) }
            #expect(error?.description.contains(path) == true)
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "accounts: {}\n")
        }
    }

    @Test func aReplacedFileIsNoticed() async throws {
        try await withPath { path in
            let directory = try SQLiteDirectory(path: path, create: true)
            try directory.add(Self.demo, AccountID(.sipuser, "2001"), password: "p")
            try FileManager.default.moveItem(atPath: path, toPath: path + ".away")
            #expect(throws: DirectoryError.self) { try directory.reloadIfChanged() }
        }
    }

    @Test func changesOfTwoProcessesAreBothKept() async throws {
        try await withPath { path in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<6 {
                    group.addTask {
                        let directory = try SQLiteDirectory(path: path, create: true)
                        try directory.add(Self.demo, AccountID(.sipuser, "\(number)"), password: "p")
                    }
                }
                try await group.waitForAll()
            }
            #expect(try SQLiteDirectory(path: path).list(nil).count == 6)
        }
    }
}
