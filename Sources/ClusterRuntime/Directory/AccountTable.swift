import Digests
import RegistrarEvents

/// The accounts of all domains: a value, so that a change is made to a copy and takes effect at once or not
/// at all.
struct AccountTable: Sendable {
    struct Key: Hashable {
        let domain: DomainName
        let kind: AccountKind
    }

    struct Ranged {
        let range: AccountRange
        let credentials: Credentials
    }

    struct Accounts {
        var singles: [ExactText: Credentials] = [:]
        var ranges: [Ranged] = []
    }

    private(set) var accounts: [Key: Accounts] = [:]

    /// Most ranges of a domain and kind: they are searched one by one.
    static let maximumRanges = 256

    func credentials(_ domain: DomainName, _ account: AccountID) -> Credentials? {
        guard let accounts = accounts[Key(domain: domain, kind: account.kind)] else { return nil }
        return accounts.singles[ExactText(account.name)]
            ?? accounts.ranges.first { $0.range.contains(account.name) }?.credentials
    }

    /// What is known of an account for digest authentication.
    func digest(_ domain: DomainName, _ sipuser: String, _ algorithm: DigestAlgorithm) -> DigestLookup {
        DigestLookup(credentials(domain, AccountID(.sipuser, sipuser)), algorithm)
    }

    func entries(_ domain: DomainName?) -> [AccountEntry] {
        accounts.filter { domain == nil || $0.key.domain == domain }
            .flatMap { key, accounts in
                accounts.singles.map { name, credentials in
                    AccountEntry(
                        domain: key.domain, kind: key.kind, name: name.string, count: 1,
                        hasDigest: credentials.digest != nil)
                }
                    + accounts.ranges.map {
                        AccountEntry(
                            domain: key.domain, kind: key.kind, name: $0.range.description,
                            count: $0.range.count,
                            hasDigest: false)
                    }
            }
            .sorted { ($0.domain, $0.kind.rawValue, $0.name) < ($1.domain, $1.kind.rawValue, $1.name) }
    }

    /// Adds an account.
    /// - Returns: false when there is one of that name already.
    mutating func add(_ domain: DomainName, _ account: AccountID, _ credentials: Credentials) -> Bool {
        guard self.credentials(domain, account) == nil else { return false }
        accounts[Key(domain: domain, kind: account.kind), default: Accounts()].singles[
            ExactText(account.name)] = credentials
        return true
    }

    /// Adds a range.
    /// - Returns: false when one of its accounts is there already, or there are too many ranges.
    mutating func add(
        _ domain: DomainName, _ kind: AccountKind, _ range: AccountRange, _ credentials: Credentials
    ) -> Bool {
        let key = Key(domain: domain, kind: kind)
        let present = accounts[key] ?? Accounts()
        guard present.ranges.count < Self.maximumRanges,
            !present.ranges.contains(where: { $0.range.overlaps(range) }),
            !present.singles.keys.contains(where: { range.contains($0.string) })
        else { return false }
        accounts[key, default: Accounts()].ranges.append(Ranged(range: range, credentials: credentials))
        return true
    }

    /// Removes an account, or the range that is written like this, or all single accounts of such a range.
    /// - Returns: false when there is none of these.
    mutating func remove(_ domain: DomainName, _ account: AccountID) -> Bool {
        let key = Key(domain: domain, kind: account.kind)
        guard var present = accounts[key] else { return false }
        if present.singles.removeValue(forKey: ExactText(account.name)) == nil {
            let whole = present.ranges.firstIndex { $0.range.description == account.name }
            if let index = whole ?? present.ranges.firstIndex(where: { $0.range.contains(account.name) }) {
                let old = present.ranges[index]
                let rest = whole == nil ? old.range.removing(account.name) : []
                present.ranges.replaceSubrange(
                    index...index, with: rest.map { Ranged(range: $0, credentials: old.credentials) })
            } else {
                let before = present.singles.count
                for name in AccountRange(account.name).map({ Array($0.names) }) ?? [] {
                    present.singles.removeValue(forKey: ExactText(name))
                }
                guard present.singles.count < before else { return false }
            }
        }
        accounts[key] = present.singles.isEmpty && present.ranges.isEmpty ? nil : present
        return true
    }

    /// The accounts that are here and not in a later table.
    func gone(in later: AccountTable) -> [DirectoryChange.Removed] {
        var gone: [DirectoryChange.Removed] = []
        for (key, present) in accounts {
            let remaining = later.accounts[key]
            let unchanged = Set((remaining?.ranges ?? []).map(\.range))
            for ranged in present.ranges where !unchanged.contains(ranged.range) {
                gone += ranged.range.names.lazy.map { .init(key.domain, AccountID(key.kind, $0)) }
                    .filter { later.credentials($0.domain, $0.account) == nil }
            }
            gone += present.singles.keys.lazy.filter { remaining?.singles[$0] == nil }
                .map { .init(key.domain, AccountID(key.kind, $0.string)) }
                .filter { later.credentials($0.domain, $0.account) == nil }
        }
        return gone.sorted()
    }
}
