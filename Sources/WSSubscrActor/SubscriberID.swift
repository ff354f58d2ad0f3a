/// A subscription on this node: which lane its socket is on, which socket, and which of the socket's subscriptions.
///
/// One word, since lists of thousands of them go from follower to lane with every batch of events.
public struct SubscriberID: Hashable, Comparable, Sendable {
    public let rawValue: UInt64

    /// The highest number of a subscription: 24 bits.
    public static let maximumNumber: UInt32 = 0xff_ffff

    /// - Parameter number: the socket's own count of subscriptions; only its low 24 bits are kept.
    public init(lane: UInt8, connection: UInt32, number: UInt32) {
        rawValue = UInt64(lane) << 56 | UInt64(connection) << 24 | UInt64(number & Self.maximumNumber)
    }

    public var lane: Int { Int(rawValue >> 56) }
    public var connection: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 24) }
    public var number: UInt32 { UInt32(truncatingIfNeeded: rawValue) & Self.maximumNumber }

    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}
