import Dispatch
import RegistrarEvents
import Synchronization

/// What an account's name and password may be, and how new accounts become credentials.
enum AccountRules {
    static let nameExpected =
        "1 to \(NewAccount.maximumNameLength) bytes without spaces, control characters, quotes, "
        + "`:`, `/`, `\\` and `..`"

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

    static func check(_ account: NewAccount) throws(DirectoryError) {
        guard isName(account.account.name) else {
            throw .invalid("account name \(quoted(account.account.name)); expected \(nameExpected)")
        }
        guard (1...NewAccount.maximumPasswordLength).contains(account.password.utf8.count) else {
            throw .invalid(
                "password of \(account.password.utf8.count) bytes for \(account.account.name); "
                    + "expected 1 to \(NewAccount.maximumPasswordLength)")
        }
    }

    /// Hashes the accounts' passwords, on all cores, in their order.
    static func credentials(of accounts: [NewAccount], cost: PasswordHash.Cost) -> [Credentials] {
        let made = Mutex<[Int: Credentials]>([:])
        DispatchQueue.concurrentPerform(iterations: accounts.count) { index in
            let new = accounts[index]
            let digest =
                new.account.kind == .sipuser
                ? DigestHashes(name: new.account.name, realm: new.domain.rawValue, password: new.password)
                : nil
            let credentials = Credentials(
                password: PasswordHash(of: new.password, cost: cost), digest: digest)
            made.withLock { $0[index] = credentials }
        }
        return made.withLock { made in accounts.indices.compactMap { made[$0] } }
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
        for (new, credentials) in zip(accounts, credentials(of: accounts, cost: cost)) {
            guard table.add(new.domain, new.account, credentials) else {
                throw .exists(new.domain, new.account)
            }
        }
        return table
    }
}
