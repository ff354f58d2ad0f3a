import DequeModule
public import RegistrarEvents

/// The recent entries of a domain's log in one epoch, bounded in count and in bytes; the oldest go first.
public struct EventRing: Sendable {
    private var entries: Deque<LogEntry> = []
    private var bytes = 0
    /// The last sequence number appended; 0 in a new epoch.
    public private(set) var lastSeq: UInt64 = 0
    public let maximumEntries: Int
    public let maximumBytes: Int

    public init(maximumEntries: Int, maximumBytes: Int) {
        self.maximumEntries = maximumEntries
        self.maximumBytes = maximumBytes
    }

    /// The oldest sequence number that can still be sent.
    public var firstSeq: UInt64 { lastSeq + 1 - UInt64(entries.count) }

    /// Appends the entry that follows the last one.
    public mutating func append(_ entry: LogEntry) {
        precondition(entry.seq == lastSeq + 1, "expected entry \(lastSeq + 1), got \(entry.seq)")
        entries.append(entry)
        bytes += entry.weight
        lastSeq = entry.seq
        while entries.count > maximumEntries || (bytes > maximumBytes && entries.count > 1) {
            bytes -= entries.removeFirst().weight
        }
    }

    /// Entries from `seq` on, at most so many and (but for the first) so many bytes, none after `last`.
    public func entries(from seq: UInt64, through last: UInt64, limit: Int, bytes: Int) -> [LogEntry] {
        let last = min(last, lastSeq)
        guard seq >= firstSeq, seq <= last else { return [] }
        let start = Int(seq - firstSeq)
        let end = min(start + limit, Int(last - firstSeq) + 1)
        var taken: [LogEntry] = []
        var weight = 0
        taken.reserveCapacity(end - start)
        for index in start..<end {
            weight += entries[index].weight
            if weight > bytes && !taken.isEmpty { break }
            taken.append(entries[index])
        }
        return taken
    }

    /// Begins a new epoch: the log is empty.
    public mutating func reset() {
        entries.removeAll()
        bytes = 0
        lastSeq = 0
    }
}
