public import RegistrarEvents

/// What changed in a directory, as far as it matters to what is registered.
public struct DirectoryChange: Equatable, Sendable {
    /// An account of a domain.
    public struct Removed: Hashable, Comparable, Sendable {
        public let domain: DomainName
        public let account: AccountID

        public init(_ domain: DomainName, _ account: AccountID) {
            self.domain = domain
            self.account = account
        }

        public static func < (left: Self, right: Self) -> Bool {
            (left.domain, left.account.kind.rawValue, left.account.name)
                < (right.domain, right.account.kind.rawValue, right.account.name)
        }
    }

    /// Accounts that were there and are gone, at most `maximumRemoved`. Never one that this directory has not
    /// held: other contacts, such as those put in by REST, have accounts of which it knows nothing.
    public var removed: [Removed]
    /// How many more are gone that are not listed.
    public var unlisted: Int

    public static let maximumRemoved = 100_000

    public init(removed: [Removed] = [], unlisted: Int = 0) {
        self.removed = removed
        self.unlisted = unlisted
    }

    /// Adds what changed later.
    mutating func append(_ accounts: some Sequence<Removed>) {
        for account in accounts {
            if removed.count < Self.maximumRemoved { removed.append(account) } else { unlisted += 1 }
        }
    }
}
