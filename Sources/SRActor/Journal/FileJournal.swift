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
public final class FileJournal: Journal {
    private struct State {
        var segments: [JournalSegment] = []
        var generation: UInt64 = 1
        /// Domains that the newest segment does not hold whole yet, and all domains kept.
        var outdated: Set<DomainName> = []
        var domains: Set<DomainName> = []
        var compactAt: Int
        var isWritable = true
        /// After a failure: how many segments there were, the later ones being attempts to write everything anew.
        /// Records are missing until one of them has every domain whole; then it is nil again.
        var intact: Int?
        var isDirty = false
        /// Segments that go once what took their place is synced.
        var retired: [JournalSegment] = []
        var nextAttempt = MonotonicInstant.distantPast

        var totalLength: Int { segments.reduce(0) { $0 + $1.length } }
    }

    private let directory: String
    private let segmentBytes: Int
    private let log: Logger
    private let lock: Int32
    private let state: Mutex<State>
    private let isClosed = Mutex(false)

    /// Opens the journal and restores what it holds.
    /// - Parameters:
    ///   - directory: created when missing; one process at a time.
    ///   - segmentBytes: under this total length nothing is compacted.
    ///   - syncInterval: how long written records may wait for `fdatasync`.
    /// - Throws: `JournalError`, also when another process has the directory open.
    public static func open(
        directory: String, segmentBytes: Int, syncInterval: Duration, now: Moment, log: Logger
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
                restored: Set(reader.replicas.keys))
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
        restored: Set<DomainName>
    ) {
        self.directory = directory
        self.segmentBytes = segmentBytes
        self.log = log
        self.lock = lock
        var state = State(compactAt: segmentBytes)
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
        state.withLock { state in
            for segment in state.segments + state.retired { segment.close() }
            state.segments = []
            state.retired = []
        }
        Glibc.close(lock)
    }

    // MARK: Writing

    /// False also while a failure's gap has not been closed by writing everything anew.
    public var isWritable: Bool { state.withLock { $0.isWritable && $0.intact == nil } }
    public var generation: UInt64 { state.withLock { $0.generation } }

    /// Bytes on disk, for metrics.
    public var length: Int { state.withLock { $0.totalLength } }

    public func append(_ records: [JournalRecord], of domain: DomainName) {
        let wall = SystemClock.wall()
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
            JournalItem(domain: domain, wall: SystemClock.wall(), content: .forgotten).encoded(), into: &buffer)
        write(buffer, of: nil)
        state.withLock { state in
            state.domains.remove(domain)
            state.outdated.remove(domain)
            dropOutdatedSegments(&state)
        }
    }

    private func write(_ buffer: [UInt8], of domain: DomainName?) {
        state.withLock { state in
            guard let newest = state.segments.indices.last else { return }
            if let domain, state.domains.insert(domain).inserted, !state.isWritable { state.outdated.insert(domain) }
            guard state.isWritable else {
                // Not this record, which is part of the gap: everything is asked for anew.
                recover(&state)
                return
            }
            do throws(JournalError) {
                try state.segments[newest].append(buffer)
                state.isDirty = true
                if state.outdated.isEmpty, state.totalLength > state.compactAt { compact(&state) }
            } catch {
                fail(&state, error)
            }
        }
    }

    // MARK: Compaction and failure

    public func checkpointed(_ domain: DomainName, in generation: UInt64) {
        state.withLock { state in
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
        state.isDirty = true
        state.compactAt = max(segmentBytes, state.totalLength * 2)
    }

    private func fail(_ state: inout State, _ error: JournalError) {
        if state.isWritable {
            log.error("journal: \(error); lone owners of this node do not acknowledge until it can write")
        }
        state.isWritable = false
        state.intact = state.intact ?? state.segments.count
        state.outdated = state.domains
        state.nextAttempt = SystemClock.monotonic() + .seconds(1)
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

    /// Syncs what was written since the last time. A failure counts as a failed write: the kernel may have dropped it.
    private func sync() {
        let work: (descriptor: Int32, retired: [JournalSegment])? = state.withLock { state in
            guard state.isDirty, let newest = state.segments.last else { return nil }
            state.isDirty = false
            defer { state.retired = [] }
            return (newest.duplicateDescriptor, state.retired)
        }
        guard let work else { return }
        defer { Glibc.close(work.descriptor) }
        guard work.descriptor >= 0, fdatasync(work.descriptor) == 0 else {
            let error = JournalError("cannot sync the newest segment in \(directory)", errno)
            state.withLock { state in
                state.retired = work.retired + state.retired
                fail(&state, error)
            }
            return
        }
        for segment in work.retired { segment.remove() }
    }

    private func startSyncing(every interval: Duration) {
        let thread = Thread { [self] in
            while !isClosed.withLock({ $0 }) {
                usleep(UInt32(clamping: interval.nanoseconds / 1_000))
                sync()
                retryIfFailed()
            }
        }
        thread.name = "journal sync"
        thread.start()
    }

    private func retryIfFailed() {
        state.withLock { state in
            if !state.isWritable { recover(&state) }
        }
    }

    /// What was read is written into the new segment; then the older ones are not needed any more.
    private func writeRestored(_ replicas: [DomainName: DomainReplica], now: Moment) {
        for (domain, replica) in replicas.sorted(by: { $0.key < $1.key }) {
            replica.forEachCheckpointRecord(at: now) { append([$0], of: domain) }
        }
        state.withLock { state in
            guard state.isWritable else { return }
            state.outdated = []
            dropOutdatedSegments(&state)
        }
        sync()
    }
}

extension DomainReplica {
    /// The records that restore this copy as it is, one after the other. One that is not whole is restored as such: the
    /// rest of its snapshot may follow.
    package func forEachCheckpointRecord(at now: Moment, _ body: (JournalRecord) -> Void) {
        body(isComplete ? .checkpoint(position) : .reset(position))
        var contacts: [LiveContact] = []
        for slot in 0..<table.slotCount {
            guard let found = table.contact(inSlot: slot) else { continue }
            let ttl = remaining(found.deadline, at: now)
            guard ttl > 0 else { continue }
            contacts.append(LiveContact(contact: found.contact, ttl: ttl))
            if contacts.count == 448 {
                body(.contacts(contacts))
                contacts.removeAll(keepingCapacity: true)
            }
        }
        body(.contacts(contacts))
        if isComplete { body(.sealed) }
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
