public import ClusterRuntime
import Foundation
import GRDB
public import RegistrarEvents

/// Changes: each is one transaction of a connection of its own, so that lookups never wait for one.
extension SQLiteDirectory {
    public func add(_ accounts: [NewAccount]) throws(DirectoryError) {
        for account in accounts { try AccountRules.check(account) }
        try change { database in
            try insert(accounts, Credentials.of(accounts, cost: .standard), in: database) { account in
                throw DirectoryError.exists(account.domain, account.account)
            }
        }
    }

    /// Users of a range share one hash, like the password.
    public func addRange(
        _ domain: DomainName, _ kind: AccountKind, _ range: String, password: String
    ) throws(DirectoryError) {
        let accounts = try AccountRules.range(range).names.map {
            NewAccount(domain, AccountID(kind, $0), password: password)
        }
        guard kind == .user, let first = accounts.first else { return try add(accounts) }
        try AccountRules.check(first)
        let shared = Credentials(of: first, cost: .standard)
        try change { database in
            let credentials = repeatElement(shared, count: accounts.count)
            try insert(accounts, credentials, in: database) { account in
                throw DirectoryError.exists(account.domain, account.account)
            }
        }
    }

    public func add(from source: any AccountSource) throws(DirectoryError) {
        try change { database in
            while let batch = try source.next() {
                let credentials = Credentials.of(batch, cost: .standard)
                var index = 0
                try insert(
                    batch, credentials, in: database, onConflict: { _ in source.refuse(index) },
                    afterEach: { index += 1 })
            }
            try source.finish()
        }
    }

    public func remove(_ domain: DomainName, _ account: AccountID) throws(DirectoryError) {
        try change { database in
            let names = try? AccountRules.range(account.name).names  // most are the name of one account
            let statement = try database.makeStatement(sql: AccountSchema.delete)
            var removed = 0
            for name in names.map(Array.init) ?? [account.name] {
                try statement.execute(arguments: [domain.rawValue, Int(account.kind.rawValue), name])
                removed += database.changesCount
            }
            guard removed > 0 else { throw DirectoryError.unknown(domain, account) }
        }
    }

    private func change(_ body: (Database) throws -> Void) throws(DirectoryError) {
        try Self.rethrow(path) {
            try Self.open(path).writeWithoutTransaction { database in
                // An import in any order of names touches pages all over.
                try database.execute(sql: "PRAGMA synchronous = FULL; PRAGMA cache_size = -65536")
                try database.inTransaction(.immediate) {
                    try body(database)
                    return .commit
                }
            }
        }
        forget()
    }

    private func insert(
        _ accounts: [NewAccount], _ credentials: some Sequence<Credentials>, in database: Database,
        onConflict: (NewAccount) throws -> Void, afterEach: () -> Void = {}
    ) throws {
        let statement = try database.cachedStatement(sql: AccountSchema.insert)
        for (new, credentials) in zip(accounts, credentials) {
            try statement.execute(
                arguments: [
                    new.domain.rawValue, Int(new.account.kind.rawValue), new.account.name,
                    credentials.password?.description, credentials.digest.map { Data($0.bytes) },
                ])
            if database.changesCount == 0 { try onConflict(new) }
            afterEach()
        }
    }
}
