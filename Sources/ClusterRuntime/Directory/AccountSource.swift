/// Hands out accounts to be added, batch after batch, and takes the blame for those that cannot be.
public protocol AccountSource: AnyObject {
    /// The next accounts; nil when there are no more.
    /// - Throws: when reading on is of no use.
    func next() throws(DirectoryError) -> [NewAccount]?

    /// One of the accounts handed out last cannot be added: it is there already, or was handed out before.
    func refuse(_ index: Int)

    /// Called after the last account, before any is added for good.
    /// - Throws: everything that was wrong.
    func finish() throws(DirectoryError)
}

extension AccountSource {
    /// All accounts at once, for directories that live in memory anyway.
    /// - Parameter isThere: tells which cannot be added.
    func collect(
        atMost maximum: Int, unless isThere: (NewAccount) -> Bool
    ) throws(DirectoryError) -> [NewAccount] {
        var accounts: [NewAccount] = []
        var seen: Set<DirectoryChange.Removed> = []
        while let batch = try next() {
            for (index, account) in batch.enumerated() {
                if isThere(account) || !seen.insert(.init(account.domain, account.account)).inserted {
                    refuse(index)
                } else {
                    accounts.append(account)
                }
            }
            guard accounts.count <= maximum else {
                throw .invalid("more than \(maximum) accounts; expected fewer, or a directory of kind sqlite")
            }
        }
        try finish()
        return accounts
    }
}
