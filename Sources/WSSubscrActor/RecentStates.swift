import ClusterRuntime
import DequeModule
import RegistrarEvents

/// The recent changes of accounts' status in a domain, bounded in count and in bytes; the oldest go first.
///
/// Renewals are not among them, so they reach further back than the events do. A change is net: an account that a
/// failover restates has not changed. So what is missed after a position depends on what was known at it, and during a
/// replay that is not the same everywhere: copies begin it from where each of them had come to in the epoch before.
/// Hence the epochs, which tell where a subscriber of *any* node may resume here: after the end of the replay.
struct RecentStates: Sendable {
    struct Change: Sendable {
        let position: Position
        let timestamp: Int64
        let contact: PackedContact
        let isOnline: Bool
        /// Whom it is about; nil until asked for, and when the contact cannot be read.
        var account: AccountID?
        var tail: [UInt8]?
    }

    /// What was followed of an epoch.
    private struct Epoch: Sendable {
        let number: UInt64
        /// The entry that ended the replay; nil while it goes on.
        var replayEnd: UInt64?
        var last: UInt64
    }

    let domain: DomainName
    let maximumCount: Int
    let maximumBytes: Int
    private var changes: Deque<Change> = []
    private var byteCount = 0
    private var epochs: Deque<Epoch> = []
    /// Changes up to here are no longer listed.
    private(set) var base = Position.start

    /// Most epochs that are told apart.
    static let maximumEpochs = 256
    /// Most changes that one entry may bring about: a batch is never split within a position.
    static let maximumAtOnce = 4_096

    init(domain: DomainName, maximumCount: Int, maximumBytes: Int) {
        self.domain = domain
        self.maximumCount = maximumCount
        self.maximumBytes = maximumBytes
    }

    var count: Int { changes.count }

    // MARK: Keeping

    /// Takes changes in, in order. Too many at one position are not listed: whoever has not seen them begins anew.
    mutating func append(_ new: [AccountChange]) {
        var start = 0
        while start < new.count {
            let position = new[start].position
            let end = new[start...].firstIndex { $0.position != position } ?? new.count
            if end - start > min(Self.maximumAtOnce, maximumCount) {
                forget(through: position)
            } else {
                for change in new[start..<end] { append(change) }
            }
            start = end
        }
        while changes.count > maximumCount || (byteCount > maximumBytes && !changes.isEmpty) { removeFirst() }
    }

    private mutating func append(_ change: AccountChange) {
        changes.append(
            Change(
                position: change.position, timestamp: change.timestamp, contact: change.contact,
                isOnline: change.isOnline))
        byteCount += Self.overhead + change.contact.bytes.count
    }

    /// What a change takes besides its contact and its encoded form, in bytes.
    private static let overhead = 128

    /// The log was followed up to a position.
    /// - Parameter endOfReplay: of the owner's epoch; nil while it has not said so.
    mutating func follow(through position: Position, endOfReplay: Position?) {
        if epochs.last?.number != position.epoch {
            epochs.append(Epoch(number: position.epoch, replayEnd: nil, last: position.seq))
            if epochs.count > Self.maximumEpochs { epochs.removeFirst() }
        }
        epochs[epochs.count - 1].last = position.seq
        if let endOfReplay, endOfReplay.epoch == position.epoch {
            epochs[epochs.count - 1].replayEnd = endOfReplay.seq
        }
    }

    /// The list was replaced: no change before this position can be listed any more.
    mutating func restart(at position: Position) {
        forget(through: position)
        epochs.removeAll()
    }

    private mutating func forget(through position: Position) {
        changes.removeAll()
        byteCount = 0
        base = position
    }

    /// Drops the oldest changes: all of one position.
    private mutating func removeFirst() {
        base = changes[0].position
        while let change = changes.first, change.position == base {
            byteCount -= Self.overhead + change.contact.bytes.count + (change.tail?.count ?? 0)
            changes.removeFirst()
        }
    }

    // MARK: Asking

    /// Where the changes after a position begin, for whoever was served here up to it: `count` when there are none
    /// yet, nil when they cannot all be listed.
    func index(after position: Position) -> Int? {
        guard position >= base else { return nil }
        var (low, high) = (0, changes.count)
        while low < high {
            let middle = (low + high) / 2
            if changes[middle].position <= position { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Whether whoever knows the accounts' status at this position, from whatever node, misses just the changes that
    /// are listed after it. The end of a replay itself does not count, as what it voids is told at that position; but
    /// the first epoch of all has nothing to void.
    func canResume(after position: Position) -> Bool {
        guard position >= base, let epoch = epochs.first(where: { $0.number == position.epoch }),
            let replayEnd = epoch.replayEnd, position.seq <= epoch.last
        else { return false }
        return position.seq > replayEnd || (position.epoch == 1 && position.seq == replayEnd)
    }

    func position(at index: Int) -> Position { changes[index].position }

    /// Whom the change at an index is about; nil when its contact cannot be read.
    mutating func account(at index: Int) -> AccountID? {
        if let account = changes[index].account { return account }
        // The event that it goes with has raised the alarm.
        changes[index].account = (try? changes[index].contact.key())?.account
        return changes[index].account
    }

    /// The encoded notice at an index; nil when its contact cannot be read.
    mutating func tail(at index: Int) -> [UInt8]? {
        if let tail = changes[index].tail { return tail }
        guard let account = account(at: index) else { return nil }
        let change = changes[index]
        let tail = EventJSON.tail(
            of: AccountState(account, isOnline: change.isOnline), .changed, domain: domain, position: change.position,
            timestamp: change.timestamp)
        changes[index].tail = tail
        byteCount += tail.count
        return tail
    }

    /// What a matcher asks for from `start` on, about so many bytes of it. What is at one position stays together.
    /// - Parameter limit: how many to look at.
    mutating func slice(
        from start: Int, upTo end: Int, matching matcher: SubscriptionMatcher, examining limit: Int, bytes: Int
    ) -> Slice {
        var tails: [[UInt8]] = []
        var size = 0
        var index = start
        while index < end {
            let isFull = size >= bytes || index - start >= limit
            if isFull, changes[index].position != changes[index - 1].position { break }
            if let account = account(at: index), matcher.matches(stateOf: account), let tail = tail(at: index) {
                tails.append(tail)
                size += tail.count
            }
            index += 1
        }
        return Slice(tails: tails, next: index)
    }

    /// The same from `start` on to the end, in batches of about so many bytes.
    /// - Parameter position: what is before `start` came up to here.
    mutating func batches(
        from start: Int, after position: Position, matching matcher: SubscriptionMatcher, bytes: Int
    ) -> [EventBatch] {
        var batches: [EventBatch] = []
        var index = start
        var after = position
        while index < count {
            let slice = slice(from: index, upTo: count, matching: matcher, examining: .max, bytes: bytes)
            index = slice.next
            let through = changes[index - 1].position
            if !slice.tails.isEmpty {
                batches.append(EventBatch(after: after, through: through, tails: slice.tails))
                after = through
            }
        }
        return batches
    }
}
