import RegistrarEvents

/// What an account's name and password may be, and how new accounts become credentials.
package enum AccountRules {
    static let nameExpected =
        "1 to \(NewAccount.maximumNameLength) bytes without spaces, control characters, quotes, "
        + "`:`, `/`, `\\` and `..`"

    static let rangeExpected = "FIRST..LAST such as u1..u100, at most \(AccountRange.maximumCount) accounts"

    /// What YAML cannot hold or a reader cannot see.
    private static let unprintable: Set<Unicode.GeneralCategory> = [
        .control, .format, .unassigned, .privateUse, .surrogate,
    ]

    /// Names go into paths, digests and SIP addresses, so what would end or escape one is left out.
    static func isName(_ text: String) -> Bool {
        (1...NewAccount.maximumNameLength).contains(text.utf8.count) && !text.contains("..")
            && text.unicodeScalars.allSatisfy { scalar in
                !unprintable.contains(scalar.properties.generalCategory) && !scalar.properties.isWhitespace
                    && !":/\\\"'".unicodeScalars.contains(scalar)
            }
    }

    package static func check(_ account: NewAccount) throws(DirectoryError) {
        guard isName(account.account.name) else {
            throw .invalid("account name \(quoted(account.account.name)); expected \(nameExpected)")
        }
        guard (1...NewAccount.maximumPasswordLength).contains(account.password.utf8.count) else {
            throw .invalid(
                "password of \(account.password.utf8.count) bytes for \(account.account.name); "
                    + "expected 1 to \(NewAccount.maximumPasswordLength)")
        }
    }

    /// The table with the accounts added: all of them or, with an error, none.
    static func adding(
        _ accounts: [NewAccount], to table: AccountTable, cost: PasswordHash.Cost
    ) throws(DirectoryError) -> AccountTable {
        for account in accounts {
            try check(account)
            // Before the hashing, which may take minutes.
            guard table.credentials(account.domain, account.account) == nil else {
                throw .exists(account.domain, account.account)
            }
        }
        var table = table
        for (new, credentials) in zip(accounts, Credentials.of(accounts, cost: cost)) {
            guard table.add(new.domain, new.account, credentials) else {
                throw .exists(new.domain, new.account)
            }
        }
        return table
    }

    /// The table with a range added. Users of a range share one hash; a sipuser's depends on its name, so those
    /// are written out.
    static func addingRange(
        _ domain: DomainName, _ kind: AccountKind, _ text: String, password: String, to table: AccountTable,
        cost: PasswordHash.Cost
    ) throws(DirectoryError) -> AccountTable {
        let range = try range(text)
        switch kind {
        case .sipuser:
            let accounts = range.names.map { NewAccount(domain, AccountID(kind, $0), password: password) }
            return try adding(accounts, to: table, cost: cost)
        case .user:
            let first = NewAccount(domain, AccountID(kind, range.prefix + "0"), password: password)
            try check(first)
            var table = table
            guard table.add(domain, kind, range, Credentials(of: first, cost: cost)) else {
                throw .invalid(
                    "some of \(kind.name) \(range) are there already; expected new names, and at most "
                        + "\(AccountTable.maximumRanges) ranges a kind")
            }
            return table
        }
    }

    package static func range(_ text: String) throws(DirectoryError) -> AccountRange {
        guard let range = AccountRange(text), isName(range.prefix + "0") else {
            throw .invalid("range \(quoted(text)); expected \(rangeExpected)")
        }
        return range
    }
}
