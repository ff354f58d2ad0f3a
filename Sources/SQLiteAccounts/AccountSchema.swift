import ClusterRuntime
import GRDB
import RegistrarEvents

/// What is in the file: a row for every account, and one for each of the last that were removed.
///
/// `accounts`: `kind` is 0 for users and 1 for sipusers, `password` a scrypt hash as text, `ha1` the digests by MD5,
/// SHA-256 and SHA-512/256 one after another. `removed` is filled by a trigger, so that an operator may delete accounts
/// with the `sqlite3` tool as well.
enum AccountSchema {
    /// Counted up with every change of the tables that an earlier program could not read.
    static let version = 1
    /// "RCac": tells the file from other programs' databases.
    static let applicationID = 0x5243_6163

    /// Makes the tables unless they are there. To be called outside of a transaction.
    static func prepare(_ database: Database) throws {
        try database.execute(sql: "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
        // Nobody waits here for another process's import.
        if try isPrepared(database) { return }
        try database.inTransaction(.immediate) {
            let found = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
            let tables = try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_master") ?? 0
            if found == 0, tables == 0 {
                try create(in: database)
                return .commit
            }
            guard try Int.fetchOne(database, sql: "PRAGMA application_id") == applicationID, found == version else {
                throw DirectoryError.file(
                    "the database is not one of accounts, version \(version); expected one that this program made")
            }
            return .commit
        }
    }

    private static func isPrepared(_ database: Database) throws -> Bool {
        try Int.fetchOne(database, sql: "PRAGMA application_id") == applicationID
            && Int.fetchOne(database, sql: "PRAGMA user_version") == version
    }

    private static func create(in database: Database) throws {
        try database.execute(
            sql: """
                CREATE TABLE accounts (
                    domain TEXT NOT NULL,
                    kind INTEGER NOT NULL CHECK (kind IN (0, 1)),
                    name TEXT NOT NULL,
                    password TEXT,
                    ha1 BLOB CHECK (length(ha1) IN (48, 80)),
                    PRIMARY KEY (domain, kind, name),
                    CHECK (password IS NOT NULL OR ha1 IS NOT NULL)
                ) STRICT, WITHOUT ROWID;
                CREATE TABLE removed (
                    id INTEGER PRIMARY KEY AUTOINCREMENT,
                    domain TEXT NOT NULL,
                    kind INTEGER NOT NULL,
                    name TEXT NOT NULL,
                    at INTEGER NOT NULL DEFAULT (unixepoch())
                ) STRICT;
                CREATE TRIGGER account_removed AFTER DELETE ON accounts BEGIN
                    INSERT INTO removed (domain, kind, name) VALUES (old.domain, old.kind, old.name);
                    DELETE FROM removed
                        WHERE id <= (SELECT max(id) FROM removed) - \(DirectoryChange.maximumRemoved);
                END;
                PRAGMA application_id = \(applicationID);
                PRAGMA user_version = \(version);
                """)
    }

    static let find = "SELECT password, ha1 FROM accounts WHERE domain = ? AND kind = ? AND name = ?"
    /// Texts are compared by their bytes.
    static let names = "SELECT name FROM accounts WHERE domain = ? AND kind = ? AND name > ? ORDER BY name LIMIT ?"
    static let insert =
        "INSERT INTO accounts (domain, kind, name, password, ha1) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
    static let delete = "DELETE FROM accounts WHERE domain = ? AND kind = ? AND name = ?"

    static func credentials(_ row: Row) throws -> Credentials {
        let password: String? = row[0]
        let ha1 = try row.withUnsafeData(atIndex: 1) { $0.map { [UInt8]($0) } }
        guard
            let credentials = Credentials(
                password: password.flatMap(PasswordHash.init), digest: ha1.flatMap(DigestHashes.init))
        else {
            throw DirectoryError.file("an account has hashes this version cannot check; expected those it writes")
        }
        return credentials
    }

    /// The accounts removed after the row of that id.
    static func removed(after id: Int64, in database: Database) throws -> [DirectoryChange.Removed] {
        let rows = try Row.fetchCursor(
            database, sql: "SELECT domain, kind, name FROM removed WHERE id > ? ORDER BY id LIMIT ?",
            arguments: [id, DirectoryChange.maximumRemoved])
        var removed: [DirectoryChange.Removed] = []
        while let row = try rows.next() {
            // The tool lets anything in; what is no account was never registered.
            guard let domain = DomainName(row[0]), let kind = AccountKind(rawValue: row[1]) else { continue }
            removed.append(.init(domain, AccountID(kind, row[2])))
        }
        return removed
    }

    /// The id of the last row before those of the last so many seconds; 0 when there is none.
    static func lastRemoved(before seconds: Int, in database: Database) throws -> Int64 {
        try Int64.fetchOne(
            database, sql: "SELECT max(id) FROM removed WHERE at < unixepoch() - ?", arguments: [seconds]) ?? 0
    }

    static func lastRemoved(in database: Database) throws -> Int64 {
        try Int64.fetchOne(database, sql: "SELECT max(id) FROM removed") ?? 0
    }

    /// Changes when another connection has committed something.
    static func dataVersion(in database: Database) throws -> Int {
        try Int.fetchOne(database, sql: "PRAGMA data_version") ?? 0
    }
}
