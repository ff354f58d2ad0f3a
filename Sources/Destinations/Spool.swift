import ClusterRuntime
import DequeModule
import Foundation
import MessagePack
import RegistrarEvents

/// What waits on disk for one destination, a queue a domain, in small files that are removed once read.
///
/// It belongs to one life of the node: what an earlier life has left is of epochs that have ended, and is removed. So
/// nothing is synced. Not for use by two threads at a time.
struct Spool {
    /// A file is begun anew beyond this, so that what was read can go: of each domain so much may be left of it.
    static let segmentBytes = 256 << 10
    /// About so many bytes of events are read at least.
    private static let recordBytes = 32 << 10

    private let directory: String
    private let limit: Int
    /// Of all files, what was read of them among it.
    private var fileBytes = 0
    private var queues: [DomainName: Queue] = [:]
    private var nextFile = 0
    private var isPrepared = false

    private struct Queue {
        /// Numbers of files and how much was written to each, the oldest first.
        var files: Deque<(number: Int, length: Int)> = []
        /// How much of the oldest was read.
        var offset = 0
    }

    /// - Parameter limit: bytes of all files together. They are on the disk of the journal, whose room is another's.
    init(directory: String, limit: Int) {
        self.directory = directory
        self.limit = limit
    }

    /// Adds events to the end of a domain's queue.
    /// - Returns: how many of them: fewer than all when the files would be beyond the limit.
    /// - Throws: when the disk does not take them. Some may have been added.
    @discardableResult
    mutating func append(_ events: [DestinationEvent], of domain: DomainName) throws(SpoolError) -> Int {
        try prepare()
        var rest = events[...]
        while !rest.isEmpty {
            var bytes = 0
            let record = rest.prefix { event in
                defer { bytes += event.entry.weight }
                return bytes < Self.recordBytes
            }
            guard try append(record: record, of: domain) else { break }
            rest = rest.dropFirst(record.count)
        }
        return events.count - rest.count
    }

    /// - Returns: whether there was room for it.
    private mutating func append(
        record events: ArraySlice<DestinationEvent>, of domain: DomainName
    ) throws(SpoolError) -> Bool {
        var writer = MessagePackWriter(reserving: 1 << 16)
        writer.array(events.count)
        for event in events {
            writer.array(2)
            writer.unsigned(event.epoch)
            writer.logEntry(event.entry)
        }
        let body = writer.finish()
        var record = withUnsafeBytes(of: UInt32(body.count).littleEndian) { [UInt8]($0) }
        record += body
        guard fileBytes + record.count <= limit else { return false }
        var queue = queues[domain] ?? Queue()
        if queue.files.last.map({ $0.length >= Self.segmentBytes }) ?? true {
            nextFile += 1
            queue.files.append((nextFile, 0))
        }
        let last = queue.files.count - 1
        do throws(SpoolError) {
            try write(record, to: queue.files[last].number, at: queue.files[last].length)
        } catch {
            // Of a file that was begun for this nobody else knows.
            if queue.files[last].length == 0 { unlink(path(queue.files[last].number)) }
            throw error
        }
        queue.files[last].length += record.count
        fileBytes += record.count
        queues[domain] = queue
        return true
    }

    /// Takes events from the front of a domain's queue: whole records of about so many bytes, at least one.
    mutating func read(bytes: Int, of domain: DomainName) throws(SpoolError) -> [DestinationEvent] {
        guard var queue = queues[domain] else { return [] }
        // Also when a read fails: files that came to their ends before are gone.
        defer { queues[domain] = queue.files.isEmpty ? nil : queue }
        var events: [DestinationEvent] = []
        var taken = 0
        while taken < bytes, let file = queue.files.first {
            let head = try read(4, from: file.number, at: queue.offset)
            let length = Int(UInt32(littleEndian: head.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }))
            guard length <= file.length - queue.offset - 4 else {
                throw SpoolError("\(path(file.number)) holds a record of \(length) bytes at \(queue.offset)")
            }
            events += try decode(try read(length, from: file.number, at: queue.offset + 4), file.number)
            queue.offset += 4 + length
            taken += 4 + length
            if queue.offset >= file.length {
                unlink(path(file.number))
                fileBytes -= file.length
                queue.files.removeFirst()
                queue.offset = 0
            }
        }
        return events
    }

    /// Drops a domain's queue.
    mutating func drop(_ domain: DomainName) {
        for file in queues.removeValue(forKey: domain)?.files ?? [] {
            unlink(path(file.number))
            fileBytes -= file.length
        }
    }

    private mutating func prepare() throws(SpoolError) {
        guard !isPrepared else { return }
        do {
            // There is none at the first start.
            if FileManager.default.fileExists(atPath: directory) {
                try FileManager.default.removeItem(atPath: directory)
            }
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw SpoolError("cannot make the spool \(directory): \(error)")
        }
        isPrepared = true
    }

    /// Removes what an earlier life of the node has left.
    mutating func removeLeftovers() throws(SpoolError) {
        guard FileManager.default.fileExists(atPath: directory) else { return }
        try prepare()
    }

    private func path(_ number: Int) -> String { "\(directory)/\(number).spool" }

    private func write(_ bytes: [UInt8], to number: Int, at offset: Int) throws(SpoolError) {
        let descriptor = open(path(number), O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SpoolError("cannot open \(path(number)): \(Self.reason())") }
        defer { close(descriptor) }
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset + written))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw SpoolError("cannot write \(path(number)): \(Self.reason())") }
            written += count
        }
    }

    private func read(_ count: Int, from number: Int, at offset: Int) throws(SpoolError) -> [UInt8] {
        let descriptor = open(path(number), O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SpoolError("cannot open \(path(number)): \(Self.reason())") }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: count)
        var got = 0
        while got < count {
            let part = bytes[got...].withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress, $0.count, off_t(offset + got))
            }
            if part < 0, errno == EINTR { continue }
            guard part > 0 else { throw SpoolError("\(path(number)) ends at \(offset + got), expected more") }
            got += part
        }
        return bytes
    }

    private func decode(_ bytes: [UInt8], _ number: Int) throws(SpoolError) -> [DestinationEvent] {
        do throws(MessagePackError) {
            return try MessagePack.decode(bytes[...]) { (value) throws(MessagePackError) in
                let items = try value.array()
                var events: [DestinationEvent] = []
                events.reserveCapacity(items.count)
                for index in 0..<items.count {
                    let pair = try items.array(index)
                    let entry = try LogEntry(packed: pair.array(1))
                    events.append(DestinationEvent(epoch: try pair.unsigned(0), entry: entry))
                }
                return events
            }
        } catch {
            throw SpoolError("\(path(number)) holds something else than events: \(error)")
        }
    }

    private static func reason() -> String { String(cString: strerror(errno)) }
}

/// Why the spool could not keep events, or give them back.
struct SpoolError: Error, Hashable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
