import ClusterRuntime
import Foundation
import Logging
import RegistrarEvents
import Testing

@testable import SRActor

/// Directories for journals, and records as machines make them.
enum JournalFixture {
    /// A directory of its own, in memory where there is such a place, that is gone afterwards.
    static func withDirectory(_ body: (String) throws -> Void) throws {
        let root = FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
        let directory = root + "/rollcall-journal-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }  // a leftover in memory harms nobody
        try body(directory)
    }

    static func open(
        _ directory: String, segmentBytes: Int = 64 << 20, later: Int64 = 0,
        syncInterval: Duration = .milliseconds(20), retryPause: Duration = .seconds(1),
        syncFile: @escaping FileJournal.SyncFile = { fdatasync($0) },
        wall: @escaping @Sendable () -> Int64 = SystemClock.wall
    ) throws -> (journal: FileJournal, replicas: [DomainName: DomainReplica]) {
        var now = SystemClock.now()
        now.monotonic += .milliseconds(later)
        now.wall += later
        return try FileJournal.open(
            directory: directory, segmentBytes: segmentBytes, syncInterval: syncInterval, now: now,
            log: Logger(label: "journal") { _ in SwiftLogNoOpLogHandler() }, retryPause: retryPause,
            syncFile: syncFile, wall: wall)
    }

    /// What the directory holds, read as after a crash: in a copy, since this process still has the files open.
    static func restored(_ directory: String, later: Int64 = 0) throws -> [DomainName: DomainReplica] {
        var replicas: [DomainName: DomainReplica] = [:]
        try withDirectory { copy in
            for name in try segments(directory) {
                try FileManager.default.copyItem(atPath: directory + "/" + name, toPath: copy + "/" + name)
            }
            let opened = try open(copy, later: later)
            opened.journal.close()
            replicas = opened.replicas
        }
        return replicas
    }

    static func segments(_ directory: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasSuffix(".rcj") }.sorted()
    }

    static func domain(_ number: Int) throws -> DomainName { try #require(DomainName("d\(number).example")) }
}

/// Makes the records of one domain's copy: an owner's log, at times another epoch's, at times a snapshot.
struct RecordMaker {
    let domain: DomainName
    private(set) var replica = DomainReplica()
    /// Counts and digests that the copy has had at each position while it was whole: a sweep changes them in place.
    private(set) var history: [Position: Set<[UInt64]>] = [:]
    private var random: SplitMix64

    init(_ domain: DomainName, seed: UInt64) {
        self.domain = domain
        random = SplitMix64(seed: seed)
    }

    static func summary(_ replica: DomainReplica) -> [UInt64] { [UInt64(replica.table.count), replica.table.digest] }

    private mutating func contact() throws -> PackedContact {
        try MachineCluster.contact("u\(random.below(60))", "c\(random.below(3))", version: "v\(random.below(9))")
    }

    /// Records of one turn.
    mutating func next() throws -> [JournalRecord] {
        var records: [JournalRecord]
        if replica.position == .start || random.happens(3) {
            records = try beginEpoch()
        } else if random.happens(3) {
            records = try snapshot()
        } else {
            records = [try entries()]
        }
        let now = SystemClock.now()
        for record in records {
            replica.apply(record, at: now)
            if replica.isComplete { history[replica.position, default: []].insert(Self.summary(replica)) }
        }
        return records
    }

    private mutating func beginEpoch() throws -> [JournalRecord] {
        let epoch = replica.position.epoch + 1
        let contact = try contact()
        let start: [JournalRecord] = replica.isComplete ? [] : [.reset(.start), .sealed]
        let clear = LogEntry(seq: 1, timestamp: 0, change: .clear(.failover))
        let restated = LogEntry(seq: 2, timestamp: 0, change: .registered(contact, ttl: 600_000, replay: true))
        return start + [.entries(epoch: epoch, [clear, restated]), .swept]
    }

    private mutating func snapshot() throws -> [JournalRecord] {
        let position = Position(epoch: replica.position.epoch, seq: replica.position.seq + UInt64(1 + random.below(9)))
        let contacts = try (0..<random.below(30)).map { _ in LiveContact(contact: try contact(), ttl: 600_000) }
        return [.reset(position), .contacts(contacts), .sealed]
    }

    private mutating func entries() throws -> JournalRecord {
        let first = replica.position.seq + 1
        let entries = try (0..<UInt64(1 + random.below(6))).map { offset in
            let contact = try contact()
            let change: LogEntry.Change =
                random.happens(30)
                ? .unregistered(contact, .deleteAOR) : .registered(contact, ttl: 600_000, replay: false)
            return LogEntry(seq: first + offset, timestamp: 0, change: change)
        }
        return .entries(epoch: replica.position.epoch, entries)
    }
}
