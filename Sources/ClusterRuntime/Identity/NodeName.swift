/// The name of a node, as the topology gives it. Unique in the cluster.
public struct NodeName: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: String

    /// Longest name accepted, in bytes. The topology's reader and the frame's reader both hold to it.
    public static let maximumLength = 64

    public init(_ text: String) { rawValue = text }

    public static func < (left: NodeName, right: NodeName) -> Bool { left.rawValue < right.rawValue }
    public var description: String { rawValue }
}

/// One life of a node: its name and the incarnation drawn when its process started.
///
/// A restarted node has the same name and a higher incarnation, and nothing of what was promised to the earlier one
/// is its own: ownership, in-sync membership and sessions are all held by `NodeID`.
public struct NodeID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let name: NodeName
    /// Milliseconds since 1970 when the process started: grows from life to life.
    public let incarnation: UInt64

    public init(name: NodeName, incarnation: UInt64) {
        self.name = name
        self.incarnation = incarnation
    }

    public static func < (left: NodeID, right: NodeID) -> Bool {
        (left.name, left.incarnation) < (right.name, right.incarnation)
    }

    public var description: String { "\(name)#\(incarnation)" }
}

/// What a node does. Source: the platform's logical names; `router` is our own.
public enum NodeRole: UInt8, CaseIterable, Sendable {
    case router = 0
    case sr = 1
    case wssubscr = 2
    case sg = 3
    /// Our own, as the platform names none: a process that counts for its site's quorum, and does nothing else.
    case arbiter = 4

    public var name: String {
        switch self {
        case .router: "router"
        case .sr: "sr"
        case .wssubscr: "wssubscr"
        case .sg: "sg"
        case .arbiter: "arbiter"
        }
    }
}
