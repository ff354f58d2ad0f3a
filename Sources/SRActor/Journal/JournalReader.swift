import ClusterRuntime
import Foundation
import RegistrarEvents

/// Restores copies from segments, oldest first.
struct JournalReader {
    /// The copies found whole, by domain.
    private(set) var replicas: [DomainName: DomainReplica] = [:]
    /// What was wrong and what was done about it, for the log.
    private(set) var warnings: [String] = []

    private let now: Moment
    /// Copies being written anew, by domain: taken over when sealed.
    private var checkpoints: [DomainName: DomainReplica] = [:]
    /// Copies of which records are missing. They stay as they were before the gap, which is an earlier state but a true
    /// one, until they are written anew.
    private var stale: Set<DomainName> = []
    /// The segment that goes on where the last one ended; nil when it did not end well.
    private var next: UInt64?

    /// More than any time to live: what is older has run out, whatever the clock said when it was written.
    private static let longest = Duration.milliseconds(UInt32.max)

    init(now: Moment) { self.now = now }

    /// Reads one segment.
    /// - Returns: how many of its bytes are whole; nil when it is something else under a segment's name.
    mutating func read(_ number: UInt64, in directory: String) throws(JournalError) -> Int? {
        let path = directory + "/" + JournalSegment.name(number)
        if next != number {
            stale.formUnion(replicas.keys)
            checkpoints.removeAll()
        }
        next = number + 1
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped)
        } catch {
            throw JournalError("cannot read \(path): \(error)")
        }
        return data.withUnsafeBytes { read($0, path: path) }
    }

    private mutating func read(_ bytes: UnsafeRawBufferPointer, path: String) -> Int? {
        // The process may have ended before the header was written.
        guard bytes.count >= JournalSegment.headerLength else {
            next = nil
            return 0
        }
        guard bytes.prefix(4).elementsEqual(JournalSegment.magic) else {
            warnings.append("\(path): expected a journal segment (RCJ1), found \(bytes.count) bytes of something else")
            next = nil
            return nil
        }
        var offset = JournalSegment.headerLength
        while offset + 8 <= bytes.count {
            let length = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
            let sum = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self))
            guard length <= JournalSegment.maximumBody, offset + 8 + length <= bytes.count else { break }
            let body = [UInt8](bytes[(offset + 8)..<(offset + 8 + length)])
            // What cannot be decoded ends the reading as a wrong checksum does, with a warning.
            guard CRC32C.checksum(body) == sum, let item = try? JournalItem(encoded: body[...]) else { break }
            apply(item)
            offset += 8 + length
        }
        if offset < bytes.count {
            next = nil
            let rest = bytes.count - offset
            warnings.append("\(path): cut at byte \(offset); the \(rest) bytes after it are no whole record")
        }
        return offset
    }

    /// Ends what had begun: a checkpoint that was not sealed did not happen, and an unsealed snapshot is no copy.
    mutating func finish() {
        checkpoints.removeAll()
        replicas = replicas.filter { $0.value.isComplete }
    }

    private mutating func apply(_ item: JournalItem) {
        guard case .record(let record) = item.content else {
            replicas[item.domain] = nil
            checkpoints[item.domain] = nil
            stale.remove(item.domain)
            return
        }
        // Times to live count from when the record was written.
        let (age, isAbsurd) = now.wall.subtractingReportingOverflow(item.wall)
        let past = isAbsurd ? Self.longest : min(max(.zero, .milliseconds(age)), Self.longest)
        let then = Moment(monotonic: now.monotonic - past, wall: item.wall)
        if case .checkpoint = record { checkpoints[item.domain] = DomainReplica() }
        if isOfCheckpointAlone(record, item.domain) {
            checkpoints[item.domain]!.apply(record, at: then)
            guard record == .sealed else { return }
            replicas[item.domain] = checkpoints.removeValue(forKey: item.domain)
            stale.remove(item.domain)
            return
        }
        takeMeanwhile(record, item.domain, at: then)
        if goesOn(item.domain, record) {
            replicas[item.domain, default: DomainReplica()].apply(record, at: then)
        } else {
            stale.insert(item.domain)
        }
    }

    /// Whether a record is part of a copy that is being written anew, and says nothing of the one before.
    private func isOfCheckpointAlone(_ record: JournalRecord, _ domain: DomainName) -> Bool {
        guard checkpoints[domain] != nil else { return false }
        switch record {
        case .checkpoint, .contacts, .generation, .sealed: return true
        case .entries, .reset, .swept: return false
        }
    }

    /// The log goes on while a copy is written anew, so what it says holds for both. Anything else ends the writing.
    private mutating func takeMeanwhile(_ record: JournalRecord, _ domain: DomainName, at then: Moment) {
        guard let position = checkpoints[domain]?.position else { return }
        if case .entries(let epoch, let entries) = record, epoch == position.epoch,
            entries.first?.seq == position.seq &+ 1
        {
            checkpoints[domain]!.apply(record, at: then)
        } else {
            checkpoints[domain] = nil
        }
    }

    /// Whether a record goes on where the copy is.
    private mutating func goesOn(_ domain: DomainName, _ record: JournalRecord) -> Bool {
        if case .reset = record {
            stale.remove(domain)
            return true
        }
        guard !stale.contains(domain) else { return false }
        let position = replicas[domain]?.position
        switch record {
        case .reset, .checkpoint, .contacts, .generation, .sealed, .swept: return position != nil
        case .entries(let epoch, let entries):
            guard let first = entries.first else { return true }
            if epoch > position?.epoch ?? 0 { return first.seq == 1 }
            let last = position?.seq ?? 0
            return epoch == position?.epoch && last < .max && first.seq == last + 1
        }
    }
}
