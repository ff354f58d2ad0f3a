import ClusterRuntime
import Logging
import RegistrarEvents
import Synchronization
import Testing

@testable import ClusterNode

@Suite struct AccountSweepTests {
    static let demo = DomainName("demo.example")!
    static let acme = DomainName("acme.example")!

    /// Notes what it is asked to delete, and refuses that when told to.
    private final class Registrar: RegistrarClient {
        let deleted = Mutex<[String]>([])
        let refusal = Mutex<Refusal?>(nil)
        /// Accounts of which the sweep said that it is done.
        let ended = Mutex<[String]>([])

        func perform(_ operation: Request.Operation, on domain: DomainName, deadline: Duration) async -> Reply.Result {
            if let refusal = refusal.withLock({ $0 }) { return .refused(refusal) }
            guard case .deleteAccount(let account) = operation else {
                Issue.record("asked for \(operation)")
                return .refused(.unavailable)
            }
            deleted.withLock { $0.append("\(account.name)@\(domain)") }
            return .unregistered(Position(epoch: 1, seq: 1), count: 1)
        }

        func take() -> [String] {
            deleted.withLock { deleted in
                defer { deleted = [] }
                return deleted.sorted()
            }
        }
    }

    private let registrar = Registrar()
    private let directory = InMemoryDirectory()

    private func makeSweep() -> AccountSweep {
        AccountSweep(
            directory: directory, kind: .user, domains: { [Self.demo] }, registrar: registrar, deadline: .seconds(1),
            log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            onEnded: { [registrar] gone in registrar.ended.withLock { $0 += gone.map(\.account.name) } })
    }

    private func add(_ names: [String], _ kind: AccountKind = .user, of domain: DomainName = demo) throws {
        try directory.add(names.map { NewAccount(domain, AccountID(kind, $0), password: "p") })
    }

    @Test func whatRemovedAccountsHaveRegisteredIsEndedOnce() async throws {
        try add(["amy", "ben", "cy"])
        try add(["2001"], .sipuser)
        try add(["amy"], of: Self.acme)
        var sweep = makeSweep()
        await sweep.turn()
        #expect(registrar.take().isEmpty, "nobody is gone")
        try directory.remove(Self.demo, AccountID(.user, "amy"))
        try directory.remove(Self.demo, AccountID(.user, "cy"))
        try directory.remove(Self.demo, AccountID(.sipuser, "2001"))  // another frontier's
        try directory.remove(Self.acme, AccountID(.user, "amy"))  // of a domain that is not served
        await sweep.turn()
        #expect(registrar.take() == ["amy@demo.example", "cy@demo.example"])
        #expect(registrar.ended.withLock { $0.sorted() } == ["amy", "cy"])
        await sweep.turn()
        #expect(registrar.take().isEmpty)
    }

    @Test func anAccountThatIsBackKeepsWhatItHas() async throws {
        try add(["amy", "ben"])
        var sweep = makeSweep()
        try directory.remove(Self.demo, AccountID(.user, "amy"))
        try directory.remove(Self.demo, AccountID(.user, "ben"))
        try add(["amy"])
        await sweep.turn()
        #expect(registrar.take() == ["ben@demo.example"])
    }

    @Test func whatWasRefusedIsTriedAgain() async throws {
        try add(["amy"])
        var sweep = makeSweep()
        try directory.remove(Self.demo, AccountID(.user, "amy"))
        registrar.refusal.withLock { $0 = .unavailable }
        await sweep.turn()
        #expect(sweep.pending.count == 1 && registrar.ended.withLock { $0.isEmpty })
        registrar.refusal.withLock { $0 = nil }
        await sweep.turn()
        #expect(registrar.take() == ["amy@demo.example"])
        #expect(sweep.pending.isEmpty)
    }

    @Test func anAccountThatCannotBeLookedUpKeepsWhatItHasForNow() async throws {
        try add(["amy"])
        var sweep = makeSweep()
        try directory.remove(Self.demo, AccountID(.user, "amy"))
        directory.isReadable = false
        await sweep.turn()
        #expect(registrar.take().isEmpty && sweep.pending.count == 1)
        directory.isReadable = true
        await sweep.turn()
        #expect(registrar.take() == ["amy@demo.example"])
    }

    @Test func manyAccountsArePaced() async throws {
        try directory.addRange(Self.demo, .user, "u1..u2500", password: "p")
        var sweep = makeSweep()
        try directory.remove(Self.demo, AccountID(.user, "u1..u2500"))
        for expected in [1_000, 1_000, 500, 0] {
            await sweep.turn()
            #expect(registrar.take().count == expected)
        }
    }
}
