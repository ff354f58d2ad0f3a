/// A place in a domain's one order of events: the epoch of its ownership, and the sequence number within it.
///
/// Epochs only grow; in each epoch sequence numbers count from 1 without gaps, and number 1 is a `clear`.
/// Sequence 0 means "before the first event". Source: own decision.
public struct Position: Hashable, Comparable, Sendable {
    public var epoch: UInt64
    public var seq: UInt64

    public init(epoch: UInt64, seq: UInt64) {
        self.epoch = epoch
        self.seq = seq
    }

    /// Before everything: what a consumer holds that has seen nothing.
    public static let start = Position(epoch: 0, seq: 0)

    public static func < (left: Position, right: Position) -> Bool {
        (left.epoch, left.seq) < (right.epoch, right.seq)
    }
}

extension Position: LosslessStringConvertible {
    /// `EPOCH:SEQ`, as the command line takes and prints it.
    public var description: String { "\(epoch):\(seq)" }

    public init?(_ description: String) {
        let parts = description.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let epoch = UInt64(parts[0]), let seq = UInt64(parts[1]) else { return nil }
        self.init(epoch: epoch, seq: seq)
    }
}
