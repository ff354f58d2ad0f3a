/// Why something that arrived, or was to be sent, was dropped. The raw value labels the metric.
public enum DropReason: String, Error, CaseIterable, Sendable {
    // Arriving frames.
    /// Not a frame of ours: wrong magic, too short, an unknown type or flag, a name that is none.
    case malformed
    /// Another wire version.
    case version
    /// Longer than the limit.
    case oversized
    /// The sender is not in the topology.
    case unknownSender
    /// Sealed where no secret is configured, or unsealed where one is.
    case sealing
    /// From an earlier life of the sender than the one known.
    case staleIncarnation
    /// Under a key that is not the one agreed with the sender: one of two nodes has restarted.
    case unknownKey
    /// The counter was seen already, or a later one was.
    case replayed
    /// The seal does not open: another secret, or bytes were changed.
    case forged
    /// A hello for somebody else.
    case misdirected
    /// The body is not what its type says.
    case undecodable
    /// A request that was under way for too long.
    case late

    // Messages to be sent.
    /// The receiver is not in the topology.
    case unknownPeer
    /// The receiver could not be reached for longer than `patience`.
    case unreachable
    /// The outbox was full.
    case outboxFull
    /// One message larger than a frame may be.
    case messageTooLarge
    /// The transport is not running any more.
    case stopped
}

/// What a transport has done since it was made.
public struct TransportStatistics: Sendable, Equatable {
    public var framesIn: UInt64 = 0
    public var bytesIn: UInt64 = 0
    public var messagesIn: UInt64 = 0
    /// Messages of kinds that this version does not know.
    public var messagesSkipped: UInt64 = 0
    public var framesOut: UInt64 = 0
    public var bytesOut: UInt64 = 0
    public var messagesOut: UInt64 = 0
    public var hellosIn: UInt64 = 0
    public var hellosOut: UInt64 = 0
    /// Peers' processes found gone.
    public var refusals: UInt64 = 0
    private var drops = [UInt64](repeating: 0, count: DropReason.allCases.count)

    public init() {}

    /// Frames and late requests (arriving) or messages (to be sent) dropped for a reason.
    public func dropped(_ reason: DropReason) -> UInt64 { drops[reason.index] }

    mutating func drop(_ reason: DropReason, count: Int = 1) { drops[reason.index] += UInt64(count) }
}

extension DropReason {
    fileprivate var index: Int {
        // Every case is in `allCases`.
        Self.allCases.firstIndex(of: self) ?? 0
    }
}
