import ClusterRuntime
import Foundation
import GRDB
import RegistrarEvents

/// What is in the file: one row about the cluster, and one for every domain's assignment.
///
/// `cluster`: the latest term, who holds it until when (nanoseconds on the boot clock of the run `boot`), and the
/// highest revision. `assignments`: as in `Assignment`; `standbys` is JSON, such as
/// `[{"in_sync":true,"incarnation":1,"name":"sr2"}]`. `wishes`: at most one row, what operators want moved, as
/// `MovementWishes.text`. `topology`: at most one row, the topology that was activated last, as
/// `ActiveTopology.record`. Programs that do not know the last two pass over them.
enum Schema {
    /// Counted up with every change of the tables that an earlier program could not read.
    static let version = 1
    /// "RCrl": tells the file from other programs' databases.
    static let applicationID = 0x5243_726c

    /// Makes the tables unless they are there. To be called outside of a transaction.
    static func prepare(_ database: Database) throws {
        try database.execute(sql: "PRAGMA journal_mode = WAL")
        // Every commit waits for the disk: a term or an epoch must never be given out twice.
        try database.execute(sql: "PRAGMA synchronous = FULL")
        try database.inTransaction(.immediate) {
            let found = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
            let tables = try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_master") ?? 0
            if found == 0, tables == 0 {
                try create(in: database)
                try addDocuments(to: database)
                return .commit
            }
            guard try Int.fetchOne(database, sql: "PRAGMA application_id") == applicationID else {
                throw SchemaError.foreign
            }
            guard found == version else { throw SchemaError.version(found) }
            try addDocuments(to: database)
            return .commit
        }
    }

    private static func create(in database: Database) throws {
        try database.execute(
            sql: """
                CREATE TABLE cluster (
                    id INTEGER PRIMARY KEY CHECK (id = 1),
                    revision INTEGER NOT NULL,
                    term INTEGER NOT NULL,
                    holder TEXT,
                    holder_incarnation INTEGER,
                    lease_until INTEGER NOT NULL,
                    boot TEXT NOT NULL
                ) STRICT;
                INSERT INTO cluster VALUES (1, 0, 0, NULL, NULL, 0, '');
                CREATE TABLE assignments (
                    domain TEXT PRIMARY KEY,
                    epoch INTEGER NOT NULL,
                    revision INTEGER NOT NULL UNIQUE,
                    owner TEXT,
                    owner_incarnation INTEGER,
                    standbys TEXT NOT NULL,
                    cause TEXT NOT NULL,
                    since INTEGER NOT NULL
                ) STRICT;
                PRAGMA application_id = \(applicationID);
                PRAGMA user_version = \(version);
                """)
    }

    /// Added without a new version of the schema, since programs that do not know them are not disturbed by them.
    private static func addDocuments(to database: Database) throws {
        try database.execute(
            sql: """
                CREATE TABLE IF NOT EXISTS wishes (
                    id INTEGER PRIMARY KEY CHECK (id = 1),
                    text TEXT NOT NULL
                ) STRICT;
                CREATE TABLE IF NOT EXISTS topology (
                    id INTEGER PRIMARY KEY CHECK (id = 1),
                    record TEXT NOT NULL
                ) STRICT
                """)
    }

    static func topology(in database: Database) throws -> ActiveTopology? {
        guard let record = try String.fetchOne(database, sql: "SELECT record FROM topology") else { return nil }
        guard let topology = ActiveTopology(record: record) else {
            throw SchemaError.row("table topology cannot be read")
        }
        return topology
    }

    static func save(_ topology: ActiveTopology, in database: Database) throws {
        try database.execute(sql: "INSERT OR REPLACE INTO topology VALUES (1, ?)", arguments: [topology.record])
    }

    static func wishes(in database: Database) throws -> MovementWishes {
        guard let text = try String.fetchOne(database, sql: "SELECT text FROM wishes") else { return MovementWishes() }
        guard let wishes = MovementWishes(text: text) else { throw SchemaError.row("table wishes cannot be read") }
        return wishes
    }

    static func save(_ wishes: MovementWishes, in database: Database) throws {
        try database.execute(sql: "INSERT OR REPLACE INTO wishes VALUES (1, ?)", arguments: [wishes.text])
    }

    /// A lease of an earlier run of the machine has ended, whatever its clock said.
    static func leadership(in database: Database, boot: String) throws -> LeadershipRecord {
        let row = try cluster(in: database)
        let isOfThisBoot = row["boot"] as String == boot
        return LeadershipRecord(
            term: unsigned(row["term"]), holder: nodeID(row["holder"], row["holder_incarnation"]),
            until: isOfThisBoot ? MonotonicInstant(nanoseconds: row["lease_until"]) : .distantPast)
    }

    static func save(_ leadership: LeadershipRecord, boot: String, in database: Database) throws {
        try database.execute(
            sql: """
                UPDATE cluster SET term = ?, holder = ?, holder_incarnation = ?, lease_until = ?, boot = ?
                """,
            arguments: [
                signed(leadership.term), leadership.holder?.name.rawValue,
                leadership.holder.map { signed($0.incarnation) }, leadership.until.nanoseconds, boot,
            ])
    }

    static func revision(in database: Database) throws -> UInt64 { unsigned(try cluster(in: database)["revision"]) }

    static func save(revision: UInt64, in database: Database) throws {
        try database.execute(sql: "UPDATE cluster SET revision = ?", arguments: [signed(revision)])
    }

    private static func cluster(in database: Database) throws -> Row {
        guard let row = try Row.fetchOne(database, sql: "SELECT * FROM cluster") else {
            throw SchemaError.row("table cluster is empty")
        }
        return row
    }

    static func assignments(in database: Database) throws -> [Assignment] {
        try Row.fetchAll(database, sql: "SELECT * FROM assignments ORDER BY domain").map(assignment)
    }

    /// Returns false, and does nothing, when the stored assignment is not at the expected revision (0: none is stored).
    static func replace(_ assignment: Assignment, expected: UInt64, in database: Database) throws -> Bool {
        let found = try Int64.fetchOne(
            database, sql: "SELECT revision FROM assignments WHERE domain = ?",
            arguments: [assignment.domain.rawValue])
        guard unsigned(found ?? 0) == expected else { return false }
        let standbys = assignment.standbys.map {
            StandbyRow(name: $0.node.name.rawValue, incarnation: $0.node.incarnation, in_sync: $0.inSync)
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        try database.execute(
            sql: "INSERT OR REPLACE INTO assignments VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            arguments: [
                assignment.domain.rawValue, signed(assignment.epoch), signed(assignment.revision),
                assignment.owner?.name.rawValue, assignment.owner.map { signed($0.incarnation) },
                String(decoding: try encoder.encode(standbys), as: UTF8.self), assignment.cause.name,
                assignment.since,
            ])
        return true
    }

    private static func assignment(_ row: Row) throws -> Assignment {
        let name: String = row["domain"]
        let cause: String = row["cause"]
        let standbys: String = row["standbys"]
        // Which column cannot be read matters less than whose: an operator looks at the row.
        guard let domain = DomainName(name), let reason = ClearReason.allCases.first(where: { $0.name == cause }),
            let nodes = try? JSONDecoder().decode([StandbyRow].self, from: Data(standbys.utf8))
        else { throw SchemaError.row("the assignment of \(name) cannot be read") }
        return Assignment(
            domain: domain, epoch: unsigned(row["epoch"]), revision: unsigned(row["revision"]),
            owner: nodeID(row["owner"], row["owner_incarnation"]),
            standbys: nodes.map {
                Assignment.Standby(
                    node: NodeID(name: NodeName($0.name), incarnation: $0.incarnation), inSync: $0.in_sync)
            },
            cause: reason, since: row["since"])
    }

    /// Named as in the file.
    private struct StandbyRow: Codable {
        var name: String
        var incarnation: UInt64
        var in_sync: Bool
    }

    private static func nodeID(_ name: String?, _ incarnation: Int64?) -> NodeID? {
        guard let name, let incarnation else { return nil }
        return NodeID(name: NodeName(name), incarnation: unsigned(incarnation))
    }

    /// SQLite's integers are signed; the bits are kept, so that every value comes back as it was.
    private static func signed(_ value: UInt64) -> Int64 { Int64(bitPattern: value) }
    private static func unsigned(_ value: Int64) -> UInt64 { UInt64(bitPattern: value) }
}

/// What is wrong with a file that SQLite itself can read.
enum SchemaError: Error, CustomStringConvertible {
    case foreign
    case version(Int)
    case row(String)

    var description: String {
        switch self {
        case .foreign: "this is another program's database; name another file, or move it away"
        case .version(let found): "its schema version is \(found); this program reads version \(Schema.version)"
        case .row(let what): what
        }
    }
}
