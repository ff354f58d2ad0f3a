public import ClusterRuntime

extension NanomsgTransport {
    /// Addresses, the cluster's secret, and limits.
    public struct Configuration: Sendable {
        public var node: NodeID
        /// Where this node listens: `tcp://address:port`.
        public var bind: String
        /// Where every other node listens.
        public var peers: [NodeName: String]
        /// Peers whose end is to be reported (`TransportEvent.refused`).
        public var watch: Set<NodeName>
        /// 32 bytes that all nodes of the cluster know and nobody else. Without it frames are neither secret nor
        /// authentic: for loopback only.
        public var secret: [UInt8]?
        /// Longest frame taken or sent, in bytes.
        public var maximumFrame: Int
        /// Where a frame is closed when more messages are waiting, in bytes.
        public var batchBytes: Int
        /// Encoded messages held for one peer; over it the newest are dropped.
        public var outboxBytes: Int
        /// Messages held for one peer that are not encoded yet; over it the newest are dropped.
        public var outboxMessages: Int
        /// Messages for a peer that could be sent nothing for so long are dropped.
        public var patience: Duration
        /// Requests that were under way for longer are dropped.
        public var requestAge: Duration

        /// - Precondition: a secret has 32 bytes; a batch and a few frames fit into the outbox.
        public init(
            self node: NodeID, bind: String, peers: [NodeName: String], watch: Set<NodeName> = [],
            secret: [UInt8]?, maximumFrame: Int = 8 << 20, batchBytes: Int = 64 << 10,
            outboxBytes: Int = 64 << 20, outboxMessages: Int = 1 << 16, patience: Duration = .seconds(1),
            requestAge: Duration = .seconds(2)
        ) {
            for name in [node.name] + peers.keys {
                precondition(
                    (1...NodeName.maximumLength).contains(name.rawValue.utf8.count),
                    "node name of \(name.rawValue.utf8.count) bytes: \(name)")
            }
            precondition(secret == nil || secret?.count == 32, "the cluster's secret has 32 bytes")
            precondition(
                batchBytes + Limits.frameOverhead <= maximumFrame && maximumFrame <= outboxBytes,
                "limits must grow: batch \(batchBytes), frame \(maximumFrame), outbox \(outboxBytes)")
            self.node = node
            self.bind = bind
            self.peers = peers
            self.watch = watch
            self.secret = secret
            self.maximumFrame = maximumFrame
            self.batchBytes = batchBytes
            self.outboxBytes = outboxBytes
            self.outboxMessages = outboxMessages
            self.patience = patience
            self.requestAge = requestAge
        }
    }
}
