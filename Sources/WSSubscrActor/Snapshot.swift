import ClusterRuntime
import RegistrarEvents

/// What was so in a domain at a position, taken once and then sent slice by slice.
protocol Snapshot {
    var domain: DomainName { get }
    var position: Position { get }
    /// `eventts` of its events: when it was taken.
    var timestamp: Int64 { get }
}

extension Snapshot {
    /// The `clear` that goes before it.
    func clear(_ reason: ClearReason) -> [UInt8] {
        EventJSON.tail(
            of: LogEntry(seq: position.seq, timestamp: timestamp, change: .clear(reason)), registration: nil,
            domain: domain, epoch: position.epoch)
    }
}

/// Encoded events of a snapshot, and where the next slice starts.
struct Slice: Sendable {
    let tails: [[UInt8]]
    let next: Int
}

extension Slice {
    /// Most elements looked at for one slice, so that a matcher that wants few of them takes nobody's time.
    private static let maximumExamined = 1_000

    /// About `bytes` of the elements from `start` on.
    /// - Parameter encode: gives an element's event; nil when it is not asked for.
    init<Element>(of list: [Element], from start: Int, bytes: Int, encode: (Element) -> [UInt8]?) {
        var tails: [[UInt8]] = []
        var size = 0
        var index = start
        let end = min(list.count, start + Self.maximumExamined)
        while index < end, size < bytes {
            if let tail = encode(list[index]) {
                tails.append(tail)
                size += tail.count
            }
            index += 1
        }
        self.init(tails: tails, next: index)
    }
}
