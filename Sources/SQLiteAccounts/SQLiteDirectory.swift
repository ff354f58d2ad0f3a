public import ClusterRuntime
public import Digests
import Foundation
import GRDB
public import RegistrarEvents
import Synchronization

/// The accounts of a SQLite file: millions of them. The file is for its owner alone.
///
/// Lookups go to a cache and, past it, to one connection that only reads: some ten microseconds, and never behind a
/// writer, since readers of SQLite's log (WAL) wait for nobody, nor behind lists, which have a connection of their own.
/// Changes are made by further ones, in this process like in others; `reloadIfChanged` empties the cache after any of
/// them, so a lookup may be as old as the call before.
public final class SQLiteDirectory: AccountDirectory {
    private struct State {
        var cache: CredentialCache
        /// SQLite's count of others' changes; nil when something is to be told whatever it is.
        var dataVersion: Int?
        /// The row of `removed` that was told last.
        var lastTold: Int64
    }

    /// The file's path.
    public let path: String
    /// For single accounts.
    private let reader: DatabaseQueue
    /// For pages of accounts, and to see what changed.
    private let lister: DatabaseQueue
    private let file: FileIdentity
    private let verifier: PasswordVerifier
    private let state: Mutex<State>

    /// How long a change waits for other processes' changes.
    public static let busyTimeout: Duration = .seconds(10)
    /// Accounts removed before this, counted back from the start, are not told any more: what they had registered has
    /// run out long ago.
    static let memory: Duration = .seconds(24 * 3600)

    /// Opens a file of accounts.
    /// - Parameters:
    ///   - limits: `cachedAccounts`, `pendingLogins` and `provenPasswords` are used.
    ///   - create: makes an empty file when there is none, as `account add` wants it.
    /// - Throws: why the file cannot be used.
    public init(path: String, limits: Limits = Limits(), create: Bool = false) throws(DirectoryError) {
        self.path = path
        verifier = PasswordVerifier(limits: limits)
        do throws(FileFault) {
            if create { try LocalFile.createOnce(path, []) }
        } catch {
            throw .file("\(error.wrong); expected \(error.expected)")
        }
        guard let file = FileIdentity(path: path) else {
            throw .file("there is no file \(path); expected one that `account add` or `import` made")
        }
        self.file = file
        reader = try LocalFile.withLock(on: path + ".lock") { () throws(DirectoryError) in
            try Self.rethrow(path) {
                let database = try Self.open(path)
                try database.writeWithoutTransaction(AccountSchema.prepare)
                return database
            }
        }
        lister = try Self.rethrow(path) { try Self.open(path) }
        let (version, lastTold, last) = try Self.rethrow(path) { [lister] in
            try lister.unsafeRead { database in
                (
                    try AccountSchema.dataVersion(in: database),
                    try AccountSchema.lastRemoved(before: Int(Self.memory.components.seconds), in: database),
                    try AccountSchema.lastRemoved(in: database)
                )
            }
        }
        state = Mutex(
            State(
                cache: CredentialCache(limit: limits.cachedAccounts),
                dataVersion: last > lastTold ? nil : version, lastTold: lastTold))
    }

    public func verify(
        _ domain: DomainName, _ account: AccountID, password: String
    ) async -> PasswordVerdict {
        do {
            let credentials = try credentials(domain, account)
            return await verifier.verify(password, for: domain, account, credentials, cost: .standard)
        } catch {
            return .overloaded
        }
    }

    public func digest(
        _ domain: DomainName, _ sipuser: String, _ algorithm: DigestAlgorithm
    ) -> DigestLookup {
        do {
            return DigestLookup(try credentials(domain, AccountID(.sipuser, sipuser)), algorithm)
        } catch {
            return .unavailable
        }
    }

    public func presence(_ domain: DomainName, _ account: AccountID) -> AccountPresence {
        do {
            return try credentials(domain, account) == nil ? .absent : .present
        } catch {
            return .unavailable  // why is told by `reloadIfChanged`
        }
    }

    /// - Returns: nothing when the file cannot be read; `reloadIfChanged` says why.
    public func list(_ domain: DomainName?) -> [AccountEntry] {
        // `reloadIfChanged` has the words for it.
        let entries = try? lister.unsafeRead { database in
            var entries: [AccountEntry] = []
            let rows = try Row.fetchCursor(
                database,
                sql: """
                    SELECT domain, kind, name, ha1 IS NOT NULL FROM accounts
                    WHERE ?1 IS NULL OR domain = ?1 ORDER BY domain, kind, name
                    """, arguments: [domain?.rawValue])
            while let row = try rows.next() {
                guard let domain = DomainName(row[0]), let kind = AccountKind(rawValue: row[1]) else { continue }
                entries.append(
                    AccountEntry(domain: domain, kind: kind, name: row[2], count: 1, hasDigest: row[3]))
            }
            return entries
        }
        return entries ?? []
    }

    public func names(
        _ domain: DomainName, _ kind: AccountKind, after last: String, limit: Int
    ) throws(DirectoryError) -> [String] {
        try Self.rethrow(path) { [lister] in
            try lister.unsafeRead { database in
                let statement = try database.cachedStatement(sql: AccountSchema.names)
                let arguments: StatementArguments = [domain.rawValue, Int(kind.rawValue), last, limit]
                return try String.fetchAll(statement, arguments: arguments)
            }
        }
    }

    public func reloadIfChanged() throws(DirectoryError) -> DirectoryChange? {
        guard FileIdentity(path: path) == file else {
            throw .file("\(path) was removed or replaced while in use; expected a restart of this node after that")
        }
        let (known, lastTold) = state.withLock { ($0.dataVersion, $0.lastTold) }
        let found = try Self.rethrow(path) { [lister] in
            try lister.read { database -> (version: Int, last: Int64, removed: [DirectoryChange.Removed])? in
                let version = try AccountSchema.dataVersion(in: database)
                guard version != known else { return nil }
                return (
                    version, max(lastTold, try AccountSchema.lastRemoved(in: database)),
                    try AccountSchema.removed(after: lastTold, in: database)
                )
            }
        }
        guard let found else { return nil }
        forget { state in
            state.dataVersion = found.version
            state.lastTold = found.last
        }
        let unlisted = Int(found.last - lastTold) - found.removed.count
        return DirectoryChange(removed: found.removed, unlisted: unlisted)
    }

    // MARK: Lookups

    private func credentials(_ domain: DomainName, _ account: AccountID) throws -> Credentials? {
        let key = CredentialCache.Key(domain: domain, account: account)
        let (cached, generation) = state.withLock { ($0.cache[key], $0.cache.generation) }
        if let cached { return cached }
        let found = try reader.unsafeRead { database -> Credentials? in
            let statement = try database.cachedStatement(sql: AccountSchema.find)
            let row = try Row.fetchOne(
                statement, arguments: [domain.rawValue, Int(account.kind.rawValue), account.name])
            return try row.map(AccountSchema.credentials)
        }
        if let found { state.withLock { $0.cache.add(found, for: key, generation: generation) } }
        return found
    }

    /// Empties the cache, after the lock was left: an event loop may wait for it.
    func forget() { forget { _ in } }

    private func forget(_ change: (inout State) -> Void) {
        let empty = state.withLock(\.cache).forgotten()
        let old = state.withLock { state in
            defer { state.cache = empty }
            change(&state)
            return state.cache
        }
        withExtendedLifetime(old) { verifier.forget() }
    }

    // MARK: The file

    static func open(_ path: String) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.busyMode = .timeout(Double(busyTimeout.milliseconds) / 1000)
        configuration.label = "accounts"
        return try DatabaseQueue(path: path, configuration: configuration)
    }

    static func rethrow<Result>(_ path: String, _ body: () throws -> Result) throws(DirectoryError) -> Result {
        do {
            return try body()
        } catch let error as DirectoryError {
            throw error
        } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY {
            throw .file("\(path) is being changed by another process; expected that to end, try again")
        } catch {
            let reason = (error as? DatabaseError)?.message ?? error.localizedDescription
            throw .file("\(path): \(reason); expected a database of accounts that can be used")
        }
    }
}

/// Tells a file from another that took its path.
private struct FileIdentity: Equatable {
    let device: UInt64
    let inode: UInt64

    init?(path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }
}
