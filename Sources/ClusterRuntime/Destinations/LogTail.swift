public import DequeModule
public import RegistrarEvents

/// What a standby keeps of a domain's log for destinations: the entries that some of them have not taken, so that
/// whoever is promoted can deliver them. Bounded in count and bytes; the oldest go first, and the `clear` of the next
/// epoch stands for them.
///
/// Invariant: the entries follow one another.
public struct LogTail: Sendable, Hashable {
    /// The epoch of the entries.
    public private(set) var epoch: UInt64 = 0
    public private(set) var entries: Deque<LogEntry> = []
    /// What the owner last told of each destination, in its order.
    public private(set) var cursors: [DestinationCursor] = []
    private var bytes = 0

    public init() {}

    /// How far a destination has come; nil when nothing was told of it.
    public func position(of destination: String) -> Position? {
        cursors.first { $0.destination == destination }?.position
    }

    /// Takes in entries that were applied, and how far destinations are. An owner that tells of none has none.
    public mutating func take(
        _ applied: [LogEntry], epoch: UInt64, cursors: [DestinationCursor], maximumEntries: Int, maximumBytes: Int
    ) {
        self.cursors = cursors
        guard !cursors.isEmpty else { return drop(all: true) }
        if epoch != self.epoch {
            drop(all: true)
            self.epoch = epoch
        }
        for entry in applied {
            if let last = entries.last, entry.seq != last.seq + 1 { drop(all: true) }
            entries.append(entry)
            bytes += entry.weight
        }
        drop(all: false)
        while entries.count > maximumEntries || bytes > maximumBytes, let first = entries.popFirst() {
            bytes -= first.weight
        }
    }

    /// Drops what all destinations have.
    private mutating func drop(all: Bool) {
        if all {
            entries.removeAll()
            bytes = 0
            return
        }
        let taken = cursors.map { $0.position.epoch < epoch ? 0 : $0.position.seq }.min() ?? 0
        while let first = entries.first, first.seq <= taken {
            entries.removeFirst()
            bytes -= first.weight
        }
    }
}
