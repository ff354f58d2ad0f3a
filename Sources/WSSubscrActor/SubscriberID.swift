/// A subscription on this node: which lane its socket is on, which socket, and which of the socket's subscriptions.
///
/// One word, since lists of thousands of them go from follower to lane with every batch of events.
public struct SubscriberID: Hashable, Comparable, Sendable {
    public let rawValue: UInt64

    /// - Parameter number: the socket's own count of subscriptions; only its low 24 bits are kept.
    public init(lane: UInt8, connection: UInt32, number: UInt32) {
        rawValue = UInt64(lane) << 56 | UInt64(connection) << 24 | UInt64(number & 0xff_ffff)
    }

    public var lane: Int { Int(rawValue >> 56) }
    public var connection: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 24) }
    public var number: UInt32 { UInt32(truncatingIfNeeded: rawValue) & 0xff_ffff }

    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}
