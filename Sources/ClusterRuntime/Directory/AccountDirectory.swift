public import Digests
public import RegistrarEvents

/// Who may register: the accounts of every domain, and the check of their passwords. A port; `FileDirectory`
/// and `SQLiteDirectory` are the real things and `InMemoryDirectory` their twin.
public protocol AccountDirectory: Sendable {
    /// Checks a password. Takes as long for an account that does not exist, so an answer's time tells nobody
    /// which do; only sipusers of an earlier version's ranges, which have no digest hashes, take longer.
    /// Hashing happens on a thread of its own: this may be awaited from an event loop's handler.
    func verify(_ domain: DomainName, _ account: AccountID, password: String) async -> PasswordVerdict

    /// What a sipuser's answer to a digest challenge is computed from; the realm is the domain. Takes
    /// microseconds, for any account: made to be called on an event loop.
    func digest(_ domain: DomainName, _ sipuser: String, _ algorithm: DigestAlgorithm) -> DigestLookup

    /// Whether the account exists. As quick as `digest`.
    func presence(_ domain: DomainName, _ account: AccountID) -> AccountPresence

    /// The accounts, sorted by domain, kind and name; of one domain when given. A range is one entry.
    func list(_ domain: DomainName?) -> [AccountEntry]

    /// The names of the accounts of a domain and kind, those of ranges included, in the order of their bytes: at most
    /// so many of those after a name, and fewer only when there are no more. May take milliseconds.
    /// - Throws: `.file` when they cannot be read.
    func names(
        _ domain: DomainName, _ kind: AccountKind, after last: String, limit: Int
    ) throws(DirectoryError) -> [String]

    /// Adds accounts: all of them or, when one is refused, none. A user takes some ten milliseconds
    /// of CPU, a sipuser a microsecond.
    /// - Throws: `.invalid`, `.exists`, `.file`.
    func add(_ accounts: [NewAccount]) throws(DirectoryError)

    /// Adds the accounts of a range such as `1001..1100`, with one password: all of them or none. Sipusers become
    /// single accounts, for their hashes depend on their names.
    /// - Throws: `.invalid`, `.exists`, `.file`.
    func addRange(
        _ domain: DomainName, _ kind: AccountKind, _ range: String, password: String
    ) throws(DirectoryError)

    /// Removes an account, or with a range's own text (`u1..u100`) the whole range. One account taken out of
    /// a range splits it.
    /// - Throws: `.unknown`, `.file`.
    func remove(_ domain: DomainName, _ account: AccountID) throws(DirectoryError)

    /// Adds the accounts that a source hands out, batch after batch: all of them or, when the source finds
    /// something wrong, none.
    /// - Throws: what the source throws; `.file`, `.invalid`.
    func add(from source: any AccountSource) throws(DirectoryError)

    /// Takes over what others changed, forgets the passwords proven before, and tells which accounts are gone
    /// since this was called last, whoever removed them.
    /// - Returns: nil when nothing changed.
    /// - Throws: what is wrong with the changed accounts; those read before stay in force.
    func reloadIfChanged() throws(DirectoryError) -> DirectoryChange?
}

/// The answer to a password check. None of them is an error.
public enum PasswordVerdict: Hashable, Sendable {
    case accepted
    /// No such account, or not its password: which of the two is not told.
    case refused
    /// Too many checks are waiting (`Limits.pendingLogins`): try again later.
    case overloaded
}

/// Whether an account exists.
public enum AccountPresence: Hashable, Sendable {
    case present
    case absent
    /// The accounts cannot be read at the moment: neither yes nor no.
    case unavailable
}

/// An account to be added, with its password in clear: it lives until the hash is made, and is never written.
public struct NewAccount: Hashable, Sendable {
    public let domain: DomainName
    public let account: AccountID
    public let password: String

    /// Longest account name and longest password, in bytes.
    public static let maximumNameLength = 128
    public static let maximumPasswordLength = 1024

    public init(_ domain: DomainName, _ account: AccountID, password: String) {
        self.domain = domain
        self.account = account
        self.password = password
    }
}

/// A line of the account list.
public struct AccountEntry: Hashable, Sendable {
    public let domain: DomainName
    public let kind: AccountKind
    /// The account's name, or a range such as `u1..u100`.
    public let name: String
    /// How many accounts it stands for.
    public let count: Int
    /// Whether the hashes that SIP digest authentication needs are there.
    public let hasDigest: Bool

    package init(domain: DomainName, kind: AccountKind, name: String, count: Int, hasDigest: Bool) {
        self.domain = domain
        self.kind = kind
        self.name = name
        self.count = count
        self.hasDigest = hasDigest
    }
}

/// Why an account could not be added, removed or read.
public enum DirectoryError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Everything that is wrong with the accounts' file, or with the file they are imported from.
    case problems([FileProblem])
    /// The file cannot be read or written: why, and what was expected.
    case file(String)
    case exists(DomainName, AccountID)
    case unknown(DomainName, AccountID)
    /// The account or its password is not one that can be: why, and what was expected.
    case invalid(String)

    public var description: String {
        switch self {
        case .problems(let problems): problems.map(\.description).joined(separator: "\n")
        case .file(let reason), .invalid(let reason): reason
        case .exists(let domain, let account):
            "\(account.kind.name) \(account.name) of \(domain) is already there; expected a new name"
        case .unknown(let domain, let account):
            "there is no \(account.kind.name) \(account.name) of \(domain); expected one that is listed"
        }
    }
}

extension AccountDirectory {
    /// Adds one account.
    public func add(
        _ domain: DomainName, _ account: AccountID, password: String
    ) throws(DirectoryError) {
        try add([NewAccount(domain, account, password: password)])
    }
}
