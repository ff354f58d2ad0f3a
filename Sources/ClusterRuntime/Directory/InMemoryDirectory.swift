public import Digests
public import RegistrarEvents
import Synchronization

/// Accounts that live as long as the process: for tests, simulations and the development cluster. Its hashes
/// are cheap.
public final class InMemoryDirectory: AccountDirectory {
    private let table = Mutex(AccountTable())
    private let change = Mutex<DirectoryChange?>(nil)
    private let readable = Mutex(true)

    /// Whether single accounts can be looked up, as those of a file sometimes cannot.
    package var isReadable: Bool {
        get { readable.withLock { $0 } }
        set { readable.withLock { $0 = newValue } }
    }
    private let verifier: PasswordVerifier

    public init(limits: Limits = Limits()) {
        verifier = PasswordVerifier(limits: limits)
    }

    public func verify(
        _ domain: DomainName, _ account: AccountID, password: String
    ) async -> PasswordVerdict {
        let credentials = table.withLock { $0.credentials(domain, account) }
        return await verifier.verify(password, for: domain, account, credentials, cost: .trivial)
    }

    public func digest(
        _ domain: DomainName, _ sipuser: String, _ algorithm: DigestAlgorithm
    ) -> DigestLookup {
        table.withLock { $0.digest(domain, sipuser, algorithm) }
    }

    public func presence(_ domain: DomainName, _ account: AccountID) -> AccountPresence {
        guard isReadable else { return .unavailable }
        return table.withLock { $0.credentials(domain, account) != nil } ? .present : .absent
    }

    public func list(_ domain: DomainName?) -> [AccountEntry] {
        table.withLock { $0.entries(domain) }
    }

    public func names(_ domain: DomainName, _ kind: AccountKind, after last: String, limit: Int) -> [String] {
        // Without the lock: event loops wait for that.
        table.withLock { $0 }.names(domain, kind, after: last, limit: limit)
    }

    public func add(_ accounts: [NewAccount]) throws(DirectoryError) {
        try table.withLock { (table) throws(DirectoryError) in
            table = try AccountRules.adding(accounts, to: table, cost: .trivial)
        }
    }

    public func addRange(
        _ domain: DomainName, _ kind: AccountKind, _ range: String, password: String
    ) throws(DirectoryError) {
        try table.withLock { (table) throws(DirectoryError) in
            table = try AccountRules.addingRange(
                domain, kind, range, password: password, to: table, cost: .trivial)
        }
    }

    public func add(from source: any AccountSource) throws(DirectoryError) {
        try add(source.collect(atMost: AccountFile.maximumAccounts) { presence($0.domain, $0.account) == .present })
    }

    public func remove(_ domain: DomainName, _ account: AccountID) throws(DirectoryError) {
        let gone: [DirectoryChange.Removed]? = table.withLock { table in
            let before = table
            return table.remove(domain, account) ? before.gone(in: table) : nil
        }
        guard let gone else { throw .unknown(domain, account) }
        change.withLock { change in
            change = change ?? DirectoryChange()
            change?.append(gone)
        }
    }

    /// Nobody else can change what is in memory.
    public func reloadIfChanged() -> DirectoryChange? {
        change.withLock { change in
            defer { change = nil }
            return change
        }
    }
}
