import DequeModule
public import RegistrarEvents

/// The recent entries of a domain's log in one epoch, bounded in count and in bytes; the oldest go first. What is not
/// committed stays, since standbys and followers have yet to be sent it; its owner bounds that (`Ownership.room`).
public struct EventRing: Sendable {
    private var entries: Deque<LogEntry> = []
    /// When each was appended, on the domain's own clock in milliseconds.
    private var times: Deque<Int64> = []
    public private(set) var bytes = 0
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
    /// - Parameters:
    ///   - time: on the domain's own clock, in milliseconds.
    ///   - committed: entries after this one are kept, whatever they come to.
    public mutating func append(_ entry: LogEntry, at time: Int64, keepingAfter committed: UInt64 = .max) {
        precondition(entry.seq == lastSeq + 1, "expected entry \(lastSeq + 1), got \(entry.seq)")
        entries.append(entry)
        times.append(time)
        bytes += entry.weight
        lastSeq = entry.seq
        while firstSeq <= committed, entries.count > maximumEntries || (bytes > maximumBytes && entries.count > 1) {
            bytes -= entries.removeFirst().weight
            times.removeFirst()
        }
    }

    /// Entries younger than this are as good as new, in milliseconds.
    public static let freshness: Int64 = 100

    /// How old so many entries from `seq` on are, in milliseconds; empty when all of them are as good as new.
    public func ages(from seq: UInt64, count: Int, at time: Int64) -> [UInt32] {
        guard count > 0, seq >= firstSeq, seq + UInt64(count) <= lastSeq + 1 else { return [] }
        let start = Int(seq - firstSeq)
        guard time - times[start] >= Self.freshness else { return [] }
        return (start..<start + count).map { UInt32(clamping: time - times[$0]) }
    }

    /// How old the entry after `seq` is; nil when it is not here.
    public func age(after seq: UInt64, at time: Int64) -> Duration? {
        guard seq + 1 >= firstSeq, seq < lastSeq else { return nil }
        return .milliseconds(time - times[Int(seq + 1 - firstSeq)])
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
}
