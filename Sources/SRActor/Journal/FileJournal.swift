public import ClusterRuntime
import Foundation
public import Logging
public import RegistrarEvents
import Synchronization

/// The journal of one node: numbered segments in a directory, appended to, synced in groups, compacted by checkpoints.
///
/// When the segments have grown to twice what the copies need (and past `segmentBytes`), a new segment begins, every
/// domain is written into it anew, and the older segments go: disk use stays within about three times the live size.
/// When the disk is full, nothing more is written until a new segment can be begun; then everything is checkpointed.
/// So it is, too, when the wall clock was put forward or back, since a reader counts times to live from when a record
/// was written by that clock.
public final class FileJournal: Journal {
    private struct State {
        var segments: [JournalSegment] = []
        var generation = FileJournal.firstOfAll
        /// Domains that the newest segment does not hold whole yet, and all domains kept.
        var outdated: Set<DomainName> = []
        var domains: Set<DomainName> = []
        var compactAt: Int
        var isWritable = true
        /// After a failure: how many segments there were, the later ones being attempts to write everything anew.
        /// Records are missing until one of them has every domain whole; then it is nil again.
        var intact: Int?
        /// Segments that go once what took their place is synced.
        var retired: [JournalSegment] = []
        /// Whether a segment was begun since the directory was last synced: until then it may not be found again.
        var hasNewSegment = true
        var nextAttempt = MonotonicInstant.distantPast
        /// What the wall clock is ahead of the time since the machine's start, in milliseconds; and whether it was put
        /// elsewhere since everything was last begun to be written anew.
        var clockOffset: Int64
        var hasClockMoved = false

        var totalLength: Int { segments.reduce(0) { $0 + $1.length } }
        /// Whether nothing is missing in what is written.
        var isWhole: Bool { isWritable && intact == nil }
    }

    private let directory: String
    private let segmentBytes: Int
    private let log: Logger
    private let lock: Int32
    /// How long after a failure it is tried again.
    private let retryPause: Duration
    private let syncFile: SyncFile
    /// Milliseconds since 1970.
    private let wall: @Sendable () -> Int64
    private let state: Mutex<State>
    /// As in the state, for those who must not wait while something is written.
    private let isWhole = Atomic<Bool>(true)
    private let newestGeneration = Atomic<UInt64>(FileJournal.firstOfAll)
    private let isClosed = Mutex(false)

    /// Has the system write a file's contents to the disk; 0 when it has, and `errno` tells why not.
    typealias SyncFile = @Sendable (_ descriptor: Int32) -> Int32

    private static let firstOfAll: UInt64 = 1
    /// Milliseconds by which the wall clock may be put elsewhere before that matters. Own decision: clients renew
    /// seconds before their time is over.
    private static let clockTolerance: Int64 = 1_000

    /// Opens the journal and restores what it holds.
    /// - Parameters:
    ///   - directory: created when missing; one process at a time.
    ///   - segmentBytes: under this total length nothing is compacted.
    ///   - syncInterval: how long written records may wait for `fdatasync`.
    /// - Throws: `JournalError`, also when another process has the directory open.
    public static func open(
        directory: String, segmentBytes: Int, syncInterval: Duration, now: Moment, log: Logger
    ) throws -> (journal: FileJournal, replicas: [DomainName: DomainReplica]) {
        try open(
            directory: directory, segmentBytes: segmentBytes, syncInterval: syncInterval, now: now, log: log,
            retryPause: .seconds(1), syncFile: { fdatasync($0) }, wall: SystemClock.wall)
    }

    static func open(
        directory: String, segmentBytes: Int, syncInterval: Duration, now: Moment, log: Logger, retryPause: Duration,
        syncFile: @escaping SyncFile, wall: @escaping @Sendable () -> Int64
    ) throws -> (journal: FileJournal, replicas: [DomainName: DomainReplica]) {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let lock = try lockDirectory(directory)
        do {
            var reader = JournalReader(now: now)
            var segments: [JournalSegment] = []
            let numbers = try FileManager.default.contentsOfDirectory(atPath: directory)
                .compactMap(JournalSegment.number(ofFile:)).sorted()
            for number in numbers {
                // What is no segment stays where it is.
                guard let length = try reader.read(number, in: directory) else { continue }
                segments.append(try JournalSegment(number: number, directory: directory, length: length))
            }
            reader.finish()
            for warning in reader.warnings { log.warning("journal: \(warning)") }
            segments.append(try JournalSegment(number: (numbers.last ?? 0) + 1, directory: directory))
            let journal = FileJournal(
                directory: directory, segmentBytes: segmentBytes, log: log, lock: lock, segments: segments,
                restored: Set(reader.replicas.keys), retryPause: retryPause, syncFile: syncFile, wall: wall)
            journal.writeRestored(reader.replicas, now: now)
            journal.startSyncing(every: syncInterval)
            return (journal, reader.replicas)
        } catch {
            Glibc.close(lock)
            throw error
        }
    }

    private init(
        directory: String, segmentBytes: Int, log: Logger, lock: Int32, segments: [JournalSegment],
        restored: Set<DomainName>, retryPause: Duration, syncFile: @escaping SyncFile,
        wall: @escaping @Sendable () -> Int64
    ) {
        self.retryPause = retryPause
        self.syncFile = syncFile
        self.wall = wall
        self.directory = directory
        self.segmentBytes = segmentBytes
        self.log = log
        self.lock = lock
        var state = State(compactAt: segmentBytes, clockOffset: Self.clockOffset(wall))
        state.segments = segments
        state.domains = restored
        state.outdated = restored
        self.state = Mutex(state)
    }

    /// Holds the directory for this process; the system lets go of it however the process ends.
    private static func lockDirectory(_ directory: String) throws -> Int32 {
        let path = directory + "/lock"
        let lock = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw JournalError("cannot open \(path)", errno) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            Glibc.close(lock)
            throw JournalError("\(directory) is in use by another process; is this node running already?")
        }
        return lock
    }

    /// Stops syncing and closes the files; what was appended is synced.
    public func close() {
        let wasClosed = isClosed.withLock { isClosed in
            defer { isClosed = true }
            return isClosed
        }
        guard !wasClosed else { return }
        sync()
        access { state in
            for segment in state.segments + state.retired { segment.close() }
            state.segments = []
            state.retired = []
            state.isWritable = false
        }
        Glibc.close(lock)
    }

    private func access<Result: Sendable>(_ body: (inout sending State) -> sending Result) -> Result {
        state.withLock { state in
            defer {
                isWhole.store(state.isWhole, ordering: .releasing)
                newestGeneration.store(state.generation, ordering: .releasing)
            }
            return body(&state)
        }
    }

    // MARK: Writing

    /// False also while a failure's gap has not been closed by writing everything anew.
    public var isWritable: Bool { isWhole.load(ordering: .acquiring) }
    public var generation: UInt64 { newestGeneration.load(ordering: .acquiring) }
    public var firstGeneration: UInt64 { Self.firstOfAll }

    /// Bytes on disk, for metrics.
    public var length: Int { state.withLock { $0.totalLength } }

    public func append(_ records: [JournalRecord], of domain: DomainName) {
        let wall = wall()
        var buffer: [UInt8] = []
        for record in records.lazy.flatMap(\.inParts) {
            JournalSegment.frame(
                JournalItem(domain: domain, wall: wall, content: .record(record)).encoded(), into: &buffer)
        }
        write(buffer, of: domain)
    }

    public func forget(_ domain: DomainName) {
        var buffer: [UInt8] = []
        JournalSegment.frame(
            JournalItem(domain: domain, wall: wall(), content: .forgotten).encoded(), into: &buffer)
        write(buffer, of: nil)
        access { state in
            state.domains.remove(domain)
            state.outdated.remove(domain)
            dropOutdatedSegments(&state)
        }
    }

    private func write(_ buffer: [UInt8], of domain: DomainName?) {
        access { state in
            guard let newest = state.segments.indices.last else { return }
            if let domain, state.domains.insert(domain).inserted, !state.isWritable { state.outdated.insert(domain) }
            guard state.isWritable else {
                // Not this record, which is part of the gap: everything is asked for anew.
                recover(&state)
                return
            }
            do throws(JournalError) {
                try state.segments[newest].append(buffer)
                if state.outdated.isEmpty, state.totalLength > state.compactAt { compact(&state) }
            } catch {
                fail(&state, error)
            }
        }
    }

    // MARK: Compaction and failure

    public func checkpointed(_ domain: DomainName, in generation: UInt64) {
        access { state in
            guard generation == state.generation, state.isWritable else { return }
            state.outdated.remove(domain)
            dropOutdatedSegments(&state)
        }
    }

    private func compact(_ state: inout State) {
        do throws(JournalError) {
            // A number is left out where records are missing, so that a reader knows as well.
            let number = (state.segments.last?.number ?? 0) + (state.intact == nil ? 1 : 2)
            state.segments.append(try JournalSegment(number: number, directory: directory))
            state.hasNewSegment = true
            state.generation += 1
            state.outdated = state.domains
            dropOutdatedSegments(&state)
        } catch {
            fail(&state, error)
        }
    }

    /// Once every domain is whole in the newest segment, the older ones say nothing new.
    private func dropOutdatedSegments(_ state: inout State) {
        guard state.isWritable, state.outdated.isEmpty else { return }
        state.intact = nil
        guard state.segments.count > 1 else { return }
        state.retired += state.segments.dropLast()
        state.segments.removeFirst(state.segments.count - 1)
        state.compactAt = max(segmentBytes, state.totalLength * 2)
    }

    private func fail(_ state: inout State, _ error: JournalError) {
        if state.isWritable {
            log.error("journal: \(error); lone owners of this node do not acknowledge until it can write")
        }
        state.isWritable = false
        state.intact = state.intact ?? state.segments.count
        state.outdated = state.domains
        state.nextAttempt = SystemClock.monotonic() + retryPause
    }

    /// After a failure records are missing, so everything is written anew into a new segment.
    private func recover(_ state: inout State) {
        guard SystemClock.monotonic() >= state.nextAttempt, !state.segments.isEmpty else { return }
        // An attempt that failed half way only takes up space. The last one stays until the next has begun.
        if let intact = state.intact {
            while state.segments.count > intact { state.segments.removeLast().remove() }
        }
        state.isWritable = true
        compact(&state)
        if state.isWritable { log.notice("journal: can write again; writing all domains anew") }
    }

    // MARK: Syncing

    /// Syncs what was written since the last time, in the order in which it was: what a newer segment goes on from must
    /// not be lost before it. A failure counts as a failed write: the kernel may have dropped it.
    private func sync() {
        let work = access { state -> Work in
            let dirty = state.segments.indices.filter { state.segments[$0].isDirty }
            let files = dirty.map { index in
                state.segments[index].isDirty = false
                let segment = state.segments[index]
                return Work.File(number: segment.number, descriptor: segment.descriptorToSync)
            }
            defer { (state.retired, state.hasNewSegment) = ([], false) }
            return Work(files: files, directory: state.hasNewSegment, retired: state.retired)
        }
        defer { for file in work.files { Glibc.close(file.descriptor) } }
        for (index, file) in work.files.enumerated() where file.descriptor < 0 || syncFile(file.descriptor) != 0 {
            let error = JournalError("cannot sync segment \(file.number) in \(directory)", errno)
            return giveBack(work, after: index, error)
        }
        if work.directory, !syncDirectory() {
            return giveBack(work, after: work.files.count, JournalError("cannot sync \(directory)", errno))
        }
        for segment in work.retired { segment.remove() }
    }

    /// What one round of syncing is to do.
    private struct Work: Sendable {
        struct File: Sendable {
            let number: UInt64
            let descriptor: Int32
        }
        let files: [File]
        let directory: Bool
        let retired: [JournalSegment]
    }

    /// What could not be synced is not tried again: the kernel may have dropped it, and says so only once.
    private func giveBack(_ work: Work, after index: Int, _ error: JournalError) {
        let untried = Set(work.files.dropFirst(index + 1).map(\.number))
        access { state in
            for index in state.segments.indices where untried.contains(state.segments[index].number) {
                state.segments[index].isDirty = true
            }
            state.hasNewSegment = state.hasNewSegment || (work.directory && index < work.files.count)
            state.retired = work.retired + state.retired
            fail(&state, error)
        }
    }

    private func syncDirectory() -> Bool {
        let descriptor = Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { Glibc.close(descriptor) }
        return fsync(descriptor) == 0
    }

    private func startSyncing(every interval: Duration) {
        let thread = Thread { [self] in
            while !isClosed.withLock({ $0 }) {
                usleep(UInt32(clamping: interval.nanoseconds / 1_000))
                sync()
                rewriteIfDue()
            }
        }
        thread.name = "journal sync"
        thread.start()
    }

    private func rewriteIfDue() {
        access { state in
            noteClock(&state)
            if !state.isWritable {
                recover(&state)
            } else if state.hasClockMoved, state.outdated.isEmpty {
                state.hasClockMoved = false
                compact(&state)
            }
        }
    }

    private func noteClock(_ state: inout State) {
        let offset = Self.clockOffset(wall)
        let step = offset - state.clockOffset
        guard step.magnitude > Self.clockTolerance else { return }
        let way = step > 0 ? "forward" : "back"
        log.notice("journal: the clock was put \(way) by \(step.magnitude) ms; writing all domains anew")
        (state.clockOffset, state.hasClockMoved) = (offset, true)
    }

    private static func clockOffset(_ wall: () -> Int64) -> Int64 {
        wall() - SystemClock.monotonic().nanoseconds / 1_000_000
    }

    /// What was read is written into the new segment; then the older ones are not needed any more. If the disk does not
    /// take all of it, they stay, and everything is asked for anew as after any other failure.
    private func writeRestored(_ replicas: [DomainName: DomainReplica], now: Moment) {
        for (domain, replica) in replicas.sorted(by: { $0.key < $1.key }) {
            replica.forEachCheckpointRecord(at: now) { if isWritable { append([$0], of: domain) } }
        }
        access { state in
            guard state.isWhole, state.generation == Self.firstOfAll else { return }
            state.outdated = []
            dropOutdatedSegments(&state)
        }
        sync()
    }
}

extension JournalRecord {
    /// The same in records that are well within what a segment takes, however much one turn changed.
    fileprivate var inParts: [JournalRecord] {
        guard case .entries(let epoch, let entries) = self, entries.count > Self.entriesInPart else { return [self] }
        return stride(from: 0, to: entries.count, by: Self.entriesInPart).map { start in
            .entries(epoch: epoch, Array(entries[start..<min(start + Self.entriesInPart, entries.count)]))
        }
    }

    /// With contacts of the greatest length these are 6.3 MiB.
    private static var entriesInPart: Int { 400 }
}
