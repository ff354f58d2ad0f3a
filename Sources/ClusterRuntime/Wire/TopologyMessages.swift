public import RegistrarEvents

/// Active router to node, when the node's heartbeat shows an older version: a part of the active topology's text. All
/// parts are sent one after the other, and again from the first unless the node's heartbeats show that it has them.
public struct TopologyPart: Sendable, Hashable {
    public var term: UInt64
    public var version: UInt64
    /// When that version was activated, in milliseconds since 1970.
    public var since: Int64
    /// From 0.
    public var index: UInt32
    /// How many parts there are.
    public var count: UInt32
    /// At most `maximumBytes` of the text, which is UTF-8 as a whole.
    public var bytes: [UInt8]

    public static let maximumBytes = 32 << 10

    public init(term: UInt64, version: UInt64, since: Int64, index: UInt32, count: UInt32, bytes: [UInt8]) {
        self.term = term
        self.version = version
        self.since = since
        self.index = index
        self.count = count
        self.bytes = bytes
    }
}

/// Active router to owner: the active topology has the domain no more. End every registration, clear the list, tell
/// everybody, and then say so. Holds only while the assignment is at `revision`; repeated until the domain is retired.
///
/// An owner that knows the domain from the same or a newer topology takes no such order: it comes late, or from a
/// router that does not know yet that it was deposed, and the domain has been put back meanwhile.
public struct Retire: Sendable, Hashable {
    public var domain: DomainName
    public var epoch: UInt64
    public var revision: UInt64
    /// The version of the topology that has the domain no more.
    public var topology: UInt64

    public init(domain: DomainName, epoch: UInt64, revision: UInt64, topology: UInt64) {
        self.domain = domain
        self.epoch = epoch
        self.revision = revision
        self.topology = topology
    }
}
