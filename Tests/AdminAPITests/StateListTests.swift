import ClusterRuntime
import Digests
import Dispatch
import NIOHTTP1
import RegistrarEvents
import Synchronization
import Testing

@testable import AdminAPI

/// Lists of states take their time, which nobody else is to wait for.
@Suite(.timeLimit(.minutes(2)))
struct StateListTests {
    /// A directory whose names nobody gets before another task has run: one that needs a thread of those that all tasks
    /// share.
    private struct HeldDirectory: AccountDirectory {
        let all = InMemoryDirectory()
        let gate = Gate()

        final class Gate: Sendable {
            let semaphore = DispatchSemaphore(value: 0)
            let timeouts = Atomic<Int>(0)
            let waiting = Atomic<Int>(0)
        }

        func names(
            _ domain: DomainName, _ kind: AccountKind, after last: String, limit: Int
        ) throws(DirectoryError) -> [String] {
            gate.waiting.add(1, ordering: .sequentiallyConsistent)
            if gate.semaphore.wait(timeout: .now() + 20) == .timedOut { gate.timeouts.add(1, ordering: .relaxed) }
            return all.names(domain, kind, after: last, limit: limit)
        }

        func verify(_ domain: DomainName, _ account: AccountID, password: String) async -> PasswordVerdict { .refused }
        func digest(_ domain: DomainName, _ sipuser: String, _ algorithm: DigestAlgorithm) -> DigestLookup {
            all.digest(domain, sipuser, algorithm)
        }
        func presence(_ domain: DomainName, _ account: AccountID) -> AccountPresence { .absent }
        func list(_ domain: DomainName?) -> [AccountEntry] { [] }
        func add(_ accounts: [NewAccount]) throws(DirectoryError) {}
        func addRange(
            _ domain: DomainName, _ kind: AccountKind, _ range: String, password: String
        ) throws(DirectoryError) {}
        func remove(_ domain: DomainName, _ account: AccountID) throws(DirectoryError) {}
        func add(from source: any AccountSource) throws(DirectoryError) {}
        func reloadIfChanged() throws(DirectoryError) -> DirectoryChange? { nil }
    }

    @Test func listsBeingMadeLeaveTheThreadsToOthers() async throws {
        let held = HeldDirectory()
        var limits = AdminLimits()
        // More than a machine has threads for tasks.
        let lists = 16
        limits.stateLists = lists
        try await AdminFixture.with(
            change: { $0.accounts = { () throws(DirectoryError) in held } }, limits: limits
        ) { fixture in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<lists {
                    group.addTask { try await fixture.ask(.GET, "/rest/v1/uc/user_states?domain=demo.example").status }
                }
                while held.gate.waiting.load(ordering: .sequentiallyConsistent) == 0 { await Task.yield() }
                try await Task.sleep(for: .milliseconds(100))
                for _ in 0..<lists { held.gate.semaphore.signal() }
                for try await status in group { #expect(status == 200) }
            }
        }
        let timeouts = held.gate.timeouts.load(ordering: .relaxed)
        #expect(timeouts == 0, "nobody could run while lists were made")
    }
}
