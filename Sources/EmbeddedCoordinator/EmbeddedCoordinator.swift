public import ClusterRuntime
import Foundation
import GRDB

/// A coordinator in one SQLite file, for clusters whose routers all run on one machine.
///
/// Leases end on the machine's boot clock and name the boot they belong to, so a reboot ends them all and neither a
/// stepped wall clock nor a suspended machine prolongs one. What changes anything is one immediate transaction:
/// whoever holds SQLite's write lock sees everything that was stored before, and what it changes is on the disk before
/// it returns. What only reads takes no lock, and so holds up nobody: neither a router that stands by, even if it is
/// stopped amid it, nor one that loads ten thousand assignments. A router that is stopped amid a store keeps the lock,
/// and nobody leads until it goes on or ends.
///
/// An operator may look into the file with the `sqlite3` tool while the cluster runs; see `Schema`.
public final class EmbeddedCoordinator: Coordinator {
    /// How long a call waits for other routers' transactions, which take milliseconds each.
    public static let busyTimeout: Duration = .seconds(1)
    private static let openAttempts = 20

    private let path: String
    private let database: DatabaseQueue
    /// Beside the other, so that renewals do not wait for it.
    private let reader: DatabaseQueue
    private let file: FileIdentity?
    private let boot: String
    private let now: @Sendable () -> MonotonicInstant

    /// Opens the file, and makes it when it is missing.
    ///
    /// Blocks for as long as other processes hold the file, at most some seconds.
    /// - Throws: `damaged`, naming the file, when it is not a database of this version; `unavailable` when it cannot be
    ///   opened or written.
    public convenience init(path: String) throws(CoordinatorError) {
        try self.init(path: path, boot: BootID.current(), now: SystemClock.monotonic)
    }

    /// - Parameters:
    ///   - boot: names the run of the machine in which `now` counts.
    ///   - now: the clock on which leases end; one and the same for all routers that share the file.
    init(
        path: String, boot: String, now: @escaping @Sendable () -> MonotonicInstant
    ) throws(CoordinatorError) {
        self.path = path
        self.boot = boot
        self.now = now
        do {
            try FileManager.default.createDirectory(
                at: URL(filePath: path).deletingLastPathComponent(), withIntermediateDirectories: true)
            database = try Self.open(path)
            reader = try Self.open(path)
        } catch {
            throw Self.describe(error, path: path)
        }
        file = FileIdentity(path: path)
    }

    public func campaign(
        as router: NodeID, lease: Duration, above floor: UInt64
    ) async throws(CoordinatorError) -> Campaign {
        try await access(database) { [boot, now] database in
            var seen = try Self.transact(database, .deferred) { try Schema.leadership(in: $0, boot: boot) }
            if case .standby(let leader) = seen.campaign(as: router, lease: lease, above: floor, at: now()) {
                return .standby(leader: leader)
            }
            return try Self.transact(database, .immediate) { database in
                var leadership = try Schema.leadership(in: database, boot: boot)
                let campaign = leadership.campaign(as: router, lease: lease, above: floor, at: now())
                if case .leading = campaign { try Schema.save(leadership, boot: boot, in: database) }
                return campaign
            }
        }
    }

    public func resign(term: UInt64) async throws(CoordinatorError) {
        try await write { [boot] database in
            var leadership = try Schema.leadership(in: database, boot: boot)
            leadership.resign(term: term)
            try Schema.save(leadership, boot: boot, in: database)
        }
    }

    public func load() async throws(CoordinatorError) -> StoredAssignments {
        try await access(reader) { database in
            try Self.transact(database, .deferred) { database in
                StoredAssignments(
                    revision: try Schema.revision(in: database), assignments: try Schema.assignments(in: database),
                    wishes: try Schema.wishes(in: database), topology: try Schema.topology(in: database))
            }
        }
    }

    public func activate(
        _ topology: ActiveTopology, term: UInt64
    ) async throws(CoordinatorError) -> StoreOutcome {
        try await write { [boot] database -> StoreOutcome in
            guard try Schema.leadership(in: database, boot: boot).mayStore(in: term) else { return .deposed }
            try Schema.save(topology, in: database)
            return .stored([])
        }
    }

    public func store(
        _ changes: [AssignmentChange], wishes: MovementWishes?, above floor: UInt64, term: UInt64
    ) async throws(CoordinatorError) -> StoreOutcome {
        try await write { [boot] database -> StoreOutcome in
            guard try Schema.leadership(in: database, boot: boot).mayStore(in: term) else {
                return .deposed
            }
            var revision = max(try Schema.revision(in: database), floor)
            var stored: [Assignment] = []
            for change in changes {
                var assignment = change.assignment
                revision += 1
                assignment.revision = revision
                guard try Schema.replace(assignment, expected: change.expected, in: database) else {
                    return .conflict
                }
                stored.append(assignment)
            }
            try Schema.save(revision: revision, in: database)
            if let wishes { try Schema.save(wishes, in: database) }
            return .stored(stored)
        }
    }
}

extension EmbeddedCoordinator {
    /// Bounds the size of the file, so that a test can fill it.
    func limitPages(to count: Int) throws {
        try database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA max_page_count = \(count)") }
    }

    private func write<Answer: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Answer
    ) async throws(CoordinatorError) -> Answer {
        try await access(database) { try Self.transact($0, .immediate, body) }
    }

    private func access<Answer: Sendable>(
        _ database: DatabaseQueue, _ body: @escaping @Sendable (Database) throws -> Answer
    ) async throws(CoordinatorError) -> Answer {
        guard FileIdentity(path: path) == file else {
            // Two files would mean two leaders.
            throw .damaged("\(path) was removed or replaced while in use; put it back, or restart all routers")
        }
        do {
            // Detached from cancellation: a shutdown must not turn a store's outcome into a riddle.
            return try await Task { try await database.writeWithoutTransaction(body) }.value
        } catch {
            throw Self.describe(error, path: path)
        }
    }

    /// Runs the body in one transaction, which is undone when the body throws or a store did not come through.
    private static func transact<Answer>(
        _ database: Database, _ kind: Database.TransactionKind, _ body: (Database) throws -> Answer
    ) throws -> Answer {
        var answer: Answer?
        try database.inTransaction(kind) {
            let result = try body(database)
            answer = result
            return (result as? StoreOutcome) == .conflict ? .rollback : .commit
        }
        guard let answer else { preconditionFailure("a transaction ended without running its body") }
        return answer
    }

    private static func open(_ path: String) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.busyMode = .timeout(Double(busyTimeout.milliseconds) / 1000)
        configuration.label = "coordinator"
        for attempt in 1... {
            do {
                let database = try DatabaseQueue(path: path, configuration: configuration)
                try database.writeWithoutTransaction(Schema.prepare)
                return database
            } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY && attempt < openAttempts {
                // Two processes that make a new file at once: SQLite does not wait while the journal mode changes.
                Thread.sleep(forTimeInterval: 0.05)
            }
        }
        preconditionFailure("the last attempt neither succeeded nor threw")
    }

    private static func describe(_ error: any Error, path: String) -> CoordinatorError {
        switch error {
        case let error as CoordinatorError: error
        case let error as SchemaError: .damaged("\(path): \(error)")
        case let error as DatabaseError:
            switch error.resultCode {
            case .SQLITE_CORRUPT, .SQLITE_NOTADB:
                .damaged("\(path): \(error.message ?? "not a database"); move it away to start with an empty one")
            default: .unavailable("\(path): \(error.message ?? "SQLite error \(error.resultCode)")")
            }
        default: .unavailable("\(path): \(error.localizedDescription)")
        }
    }
}
