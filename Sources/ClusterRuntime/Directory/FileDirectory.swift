public import Digests
import Foundation
public import RegistrarEvents
import Synchronization

/// The accounts of a YAML file. Holds password hashes only; the file is written whole, to its owner's eyes
/// alone.
///
/// Several processes may have the same file open: changes are made under a lock beside it (`FILE.lock`) to
/// what is on disk at that moment, and `reloadIfChanged` picks up the others' changes.
public final class FileDirectory: AccountDirectory {
    private struct State {
        var table: AccountTable
        var stamp: FileStamp?
        /// What `reloadIfChanged` has yet to tell of changes made here.
        var change: DirectoryChange?
    }

    /// The file's path.
    public let path: String
    private let verifier: PasswordVerifier
    private let state: Mutex<State>

    /// Opens a file of accounts.
    /// - Parameters:
    ///   - path: the file, at most 64 MiB.
    ///   - limits: `pendingLogins` and `provenPasswords` are used.
    ///   - create: makes an empty file when there is none, as `account add` wants it.
    /// - Throws: what is wrong with the file, all of it.
    public init(path: String, limits: Limits = Limits(), create: Bool = false) throws(DirectoryError) {
        self.path = path
        verifier = PasswordVerifier(limits: limits)
        if create {
            try Self.rethrow { () throws(FileFault) in
                _ = try LocalFile.createOnce(path, Array(AccountFile.text(AccountTable(), header: "").utf8))
            }
        }
        let stamp = FileStamp(path: path)
        state = Mutex(State(table: try AccountFile.read(path), stamp: stamp, change: nil))
    }

    public func verify(
        _ domain: DomainName, _ account: AccountID, password: String
    ) async -> PasswordVerdict {
        let credentials = state.withLock { $0.table.credentials(domain, account) }
        return await verifier.verify(password, for: domain, account, credentials, cost: .standard)
    }

    public func digest(
        _ domain: DomainName, _ sipuser: String, _ algorithm: DigestAlgorithm
    ) -> DigestLookup {
        state.withLock { $0.table.digest(domain, sipuser, algorithm) }
    }

    public func presence(_ domain: DomainName, _ account: AccountID) -> AccountPresence {
        state.withLock { $0.table.credentials(domain, account) != nil } ? .present : .absent
    }

    public func list(_ domain: DomainName?) -> [AccountEntry] {
        state.withLock { $0.table.entries(domain) }
    }

    public func names(_ domain: DomainName, _ kind: AccountKind, after last: String, limit: Int) -> [String] {
        // Without the lock: event loops wait for that.
        state.withLock(\.table).names(domain, kind, after: last, limit: limit)
    }

    public func add(_ accounts: [NewAccount]) throws(DirectoryError) {
        try change { (table) throws(DirectoryError) in
            try AccountRules.adding(accounts, to: table, cost: .standard)
        }
    }

    public func addRange(
        _ domain: DomainName, _ kind: AccountKind, _ range: String, password: String
    ) throws(DirectoryError) {
        try change { (table) throws(DirectoryError) in
            try AccountRules.addingRange(
                domain, kind, range, password: password, to: table, cost: .standard)
        }
    }

    public func remove(_ domain: DomainName, _ account: AccountID) throws(DirectoryError) {
        try change { (table) throws(DirectoryError) in
            var table = table
            guard table.remove(domain, account) else { throw .unknown(domain, account) }
            return table
        }
    }

    public func add(from source: any AccountSource) throws(DirectoryError) {
        try change { (table) throws(DirectoryError) in
            let accounts = try source.collect(atMost: AccountFile.maximumAccounts) {
                table.credentials($0.domain, $0.account) != nil
            }
            return try AccountRules.adding(accounts, to: table, cost: .standard)
        }
    }

    public func reloadIfChanged() throws(DirectoryError) -> DirectoryChange? {
        let stamp = FileStamp(path: path)
        if stamp != state.withLock(\.stamp) { install(try AccountFile.read(path), stamp) }
        return state.withLock { state in
            defer { state.change = nil }
            return state.change
        }
    }

    private func change(
        _ body: (AccountTable) throws(DirectoryError) -> AccountTable
    ) throws(DirectoryError) {
        try LocalFile.withLock(on: path + ".lock") { () throws(DirectoryError) in
            let table = try body(AccountFile.read(path))
            try Self.rethrow { () throws(FileFault) in
                let old = try LocalFile.read(path, limit: AccountFile.maximumSize)
                let header = AccountFile.header(of: String(decoding: old, as: UTF8.self))
                let new = Array(AccountFile.text(table, header: header).utf8)
                guard new.count <= AccountFile.maximumSize else {
                    throw FileFault(
                        wrong: "\(path) would become too large",
                        expected: "at most \(Quantity.text(bytes: AccountFile.maximumSize))")
                }
                try LocalFile.replace(path, new)
            }
            install(table, FileStamp(path: path))
        }
    }

    private func install(_ table: AccountTable, _ stamp: FileStamp?) {
        // Compared, and what was in force freed, without the lock: event loops wait for that.
        let old = state.withLock(\.table)
        let gone = old.gone(in: table)
        state.withLock { state in
            state.table = table
            state.stamp = stamp
            state.change = state.change ?? DirectoryChange()
            state.change?.append(gone)
        }
        withExtendedLifetime(old) { verifier.forget() }
    }

    private static func rethrow(_ body: () throws(FileFault) -> Void) throws(DirectoryError) {
        do throws(FileFault) {
            try body()
        } catch {
            throw .file("\(error.wrong); expected \(error.expected)")
        }
    }
}
