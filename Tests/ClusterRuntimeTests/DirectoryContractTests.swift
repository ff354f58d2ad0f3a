import ClusterRuntime
import Digests
import Foundation
import RegistrarEvents
import SQLiteAccounts
import Testing

/// What holds for every account directory, run against the twin and the real things.
@Suite struct DirectoryContractTests {
    enum Kind: CaseIterable, Sendable { case inMemory, file, sqlite }

    static let demo = DomainName("demo.example")!
    static let acme = DomainName("acme.example")!
    static let alice = AccountID(.user, "alice")

    private func withDirectory(
        _ kind: Kind, _ body: (any AccountDirectory) async throws -> Void
    ) async throws {
        switch kind {
        case .inMemory: try await body(InMemoryDirectory())
        case .file:
            try await TopologyFixture.withDirectory { directory in
                try await body(FileDirectory(path: directory + "/accounts.yaml", create: true))
            }
        case .sqlite:
            try await TopologyFixture.withDirectory { directory in
                try await body(SQLiteDirectory(path: directory + "/accounts.db", create: true))
            }
        }
    }

    @Test(arguments: Kind.allCases)
    func onlyTheAccountsOwnPasswordIsAccepted(_ kind: Kind) async throws {
        try await withDirectory(kind) { directory in
            try directory.add(Self.demo, Self.alice, password: "right")
            for _ in 0..<2 {  // the second time from memory
                #expect(await directory.verify(Self.demo, Self.alice, password: "right") == .accepted)
                #expect(await directory.verify(Self.demo, Self.alice, password: "wrong") == .refused)
                #expect(await directory.verify(Self.demo, Self.alice, password: "") == .refused)
            }
            #expect(await directory.verify(Self.acme, Self.alice, password: "right") == .refused)
            #expect(
                await directory.verify(Self.demo, AccountID(.sipuser, "alice"), password: "right") == .refused
            )
            #expect(
                await directory.verify(Self.demo, AccountID(.user, "Alice"), password: "right") == .refused)
            let long = String(repeating: "x", count: NewAccount.maximumPasswordLength + 1)
            #expect(await directory.verify(Self.demo, Self.alice, password: long) == .refused)
        }
    }

    @Test(arguments: Kind.allCases)
    func aRemovedAccountIsRefusedAtOnce(_ kind: Kind) async throws {
        try await withDirectory(kind) { directory in
            try directory.add(Self.demo, Self.alice, password: "right")
            #expect(await directory.verify(Self.demo, Self.alice, password: "right") == .accepted)
            try directory.remove(Self.demo, Self.alice)
            #expect(await directory.verify(Self.demo, Self.alice, password: "right") == .refused)
            #expect(directory.presence(Self.demo, Self.alice) == .absent)
            #expect(throws: DirectoryError.unknown(Self.demo, Self.alice)) {
                try directory.remove(Self.demo, Self.alice)
            }
        }
    }

    @Test(arguments: Kind.allCases)
    func accountsAreAddedTogetherOrNotAtAll(_ kind: Kind) async throws {
        try await withDirectory(kind) { directory in
            try directory.add(Self.demo, Self.alice, password: "a")
            let bob = NewAccount(Self.demo, AccountID(.user, "bob"), password: "b")
            #expect(throws: DirectoryError.exists(Self.demo, Self.alice)) {
                try directory.add([bob, NewAccount(Self.demo, Self.alice, password: "c")])
            }
            #expect(throws: DirectoryError.exists(Self.demo, bob.account)) { try directory.add([bob, bob]) }
            #expect(directory.list(nil).map(\.name) == ["alice"])
        }
    }

    @Test(arguments: Kind.allCases)
    func accountsAreListedInOrder(_ kind: Kind) async throws {
        try await withDirectory(kind) { directory in
            try directory.add([
                NewAccount(Self.demo, AccountID(.sipuser, "2001"), password: "p"),
                NewAccount(Self.demo, AccountID(.user, "bob"), password: "p"),
                NewAccount(Self.demo, Self.alice, password: "p"),
                NewAccount(Self.acme, Self.alice, password: "p"),
            ])
            #expect(
                directory.list(nil).map { "\($0.domain)/\($0.name)" } == [
                    "acme.example/alice", "demo.example/alice", "demo.example/bob", "demo.example/2001",
                ])
            #expect(directory.list(Self.demo).map(\.hasDigest) == [false, false, true])
        }
    }

    @Test(arguments: Kind.allCases)
    func namesComeInTheOrderOfTheirBytesAPartAtATime(_ kind: Kind) async throws {
        try await withDirectory(kind) { directory in
            try directory.addRange(Self.demo, .user, "u8..u112", password: "p")
            try directory.addRange(Self.demo, .user, "u0007..u0012", password: "p")
            let singles = ["a", "ü", "u", "u1x", "u11a", "Z", "z", "\u{1F600}"]
            try directory.add(singles.map { NewAccount(Self.demo, AccountID(.user, $0), password: "p") })
            try directory.add([
                NewAccount(Self.demo, AccountID(.sipuser, "u1"), password: "p"),
                NewAccount(Self.acme, AccountID(.user, "b"), password: "p"),
            ])
            let ranges = (8...112).map { "u\($0)" } + ["u0007", "u0008", "u0009", "u0010", "u0011", "u0012"]
            let expected = (singles + ranges).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            for limit in [1, 2, 7, 50, 1_000] {
                var found: [String] = []
                while true {
                    let part = try directory.names(Self.demo, .user, after: found.last ?? "", limit: limit)
                    found += part
                    guard part.count == limit else { break }
                }
                #expect(found == expected, "limit \(limit)")
            }
            #expect(try directory.names(Self.demo, .sipuser, after: "", limit: 9) == ["u1"])
            #expect(try directory.names(Self.acme, .user, after: "b", limit: 9) == [])
        }
    }

    @Test(arguments: Kind.allCases)
    func namesThatWouldEscapeAPathOrDigestAreRefused(_ kind: Kind) async throws {
        try await withDirectory(kind) { directory in
            for name in [
                "", "a b", "a:b", "a/b", "a\nb", "a\"b", "u1..u9", "a\u{202e}b",
                String(repeating: "x", count: 129),
            ] {
                #expect(throws: DirectoryError.self) {
                    try directory.add(Self.demo, AccountID(.user, name), password: "p")
                }
            }
            #expect(throws: DirectoryError.self) { try directory.add(Self.demo, Self.alice, password: "") }
            #expect(directory.list(nil).isEmpty)
        }
    }

    @Test(arguments: Kind.allCases)
    func sipusersCanBeChallengedByEveryAlgorithm(_ kind: Kind) async throws {
        try await withDirectory(kind) { directory in
            try directory.add([
                NewAccount(Self.demo, AccountID(.sipuser, "2001"), password: "right"),
                NewAccount(Self.demo, AccountID(.user, "2002"), password: "right"),
            ])
            for algorithm in DigestAlgorithm.allCases {
                let expected = algorithm.hex { $0.append("2001:demo.example:right") }
                for _ in 0..<2 {  // the second time from memory
                    #expect(directory.digest(Self.demo, "2001", algorithm) == .found(expected))
                    #expect(directory.digest(Self.acme, "2001", algorithm) == .noAccount)
                    // A person of that name is somebody else.
                    #expect(directory.digest(Self.demo, "2002", algorithm) == .noAccount)
                }
                // A decoy is of use like a hash, and always the same.
                let decoy = directory.digest(Self.demo, "2002", algorithm).secret(algorithm)
                #expect(decoy.count == algorithm.digestLength * 2)
                #expect(decoy == directory.digest(Self.demo, "2003", algorithm).secret(algorithm))
                #expect(decoy != expected)
            }
            let sipuser = AccountID(.sipuser, "2001")
            #expect(await directory.verify(Self.demo, sipuser, password: "right") == .accepted)
            #expect(await directory.verify(Self.demo, sipuser, password: "wrong") == .refused)
            #expect(await directory.verify(Self.demo, AccountID(.sipuser, "2002"), password: "") == .refused)
            try directory.remove(Self.demo, sipuser)
            #expect(directory.digest(Self.demo, "2001", .md5) == .noAccount)
            #expect(await directory.verify(Self.demo, sipuser, password: "right") == .refused)
        }
    }

    @Test(arguments: Kind.allCases)
    func aRangeIsAddedWholeOrNotAtAll(_ kind: Kind) async throws {
        try await withDirectory(kind) { directory in
            try directory.addRange(Self.demo, .sipuser, "0998..1002", password: "p")
            try directory.addRange(Self.demo, .user, "u1..u3", password: "p")
            for name in ["0998", "0999", "1000", "1002"] {
                let expected = DigestAlgorithm.md5.hex { $0.append("\(name):demo.example:p") }
                #expect(directory.digest(Self.demo, name, .md5) == .found(expected), "\(name)")
            }
            for name in ["u1", "u3"] {
                let user = AccountID(.user, name)
                #expect(await directory.verify(Self.demo, user, password: "p") == .accepted, "\(name)")
            }
            #expect(directory.presence(Self.demo, AccountID(.sipuser, "998")) == .absent)
            #expect(directory.presence(Self.demo, AccountID(.user, "u4")) == .absent)
            for (accounts, range) in [(AccountKind.sipuser, "1002..1004"), (.user, "u3..u5"), (.user, "u3")] {
                #expect(throws: DirectoryError.self) {
                    try directory.addRange(Self.demo, accounts, range, password: "q")
                }
            }
            #expect(throws: DirectoryError.self) { try directory.addRange(Self.demo, .user, "v1..v2", password: "") }
            #expect(directory.list(nil).reduce(0) { $0 + $1.count } == 8)
        }
    }

    @Test(arguments: Kind.allCases)
    func aRangeOfSingleAccountsIsRemovedByItsText(_ kind: Kind) async throws {
        try await withDirectory(kind) { directory in
            try directory.addRange(Self.demo, .sipuser, "2001..2009", password: "p")
            try directory.remove(Self.demo, AccountID(.sipuser, "2002..2008"))
            #expect(directory.list(nil).map(\.name) == ["2001", "2009"])
            let again = AccountID(.sipuser, "2003..2005")
            #expect(throws: DirectoryError.unknown(Self.demo, again)) { try directory.remove(Self.demo, again) }
        }
    }

    @Test(arguments: Kind.allCases)
    func removedAccountsAreToldOnce(_ kind: Kind) async throws {
        try await withDirectory(kind) { directory in
            try directory.addRange(Self.demo, .user, "u1..u4", password: "p")
            try directory.add(Self.demo, AccountID(.sipuser, "2001"), password: "p")
            let added = try directory.reloadIfChanged()
            #expect(added?.removed ?? [] == [])
            #expect(try directory.reloadIfChanged() == nil)
            try directory.remove(Self.demo, AccountID(.user, "u2"))
            try directory.remove(Self.demo, AccountID(.sipuser, "2001"))
            let change = try #require(try directory.reloadIfChanged())
            #expect(
                change.removed.sorted() == [
                    .init(Self.demo, AccountID(.user, "u2")), .init(Self.demo, AccountID(.sipuser, "2001")),
                ])
            #expect(change.unlisted == 0)
            #expect(try directory.reloadIfChanged() == nil)
            try directory.remove(Self.demo, AccountID(.user, "u1"))
            #expect(try directory.reloadIfChanged()?.removed == [.init(Self.demo, AccountID(.user, "u1"))])
        }
    }
}
