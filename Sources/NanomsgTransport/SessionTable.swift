import ClusterRuntime
import MessagePack

/// The sessions of one node life with all its peers: takes frames in, gives hellos and keys out. Pure, like `Session`.
///
/// Opening and sealing bodies is left to the caller, between `examine` and `accept` and after `ticket`, so that a lock
/// around the table is held for lookups only.
struct SessionTable {
    let node: NodeID
    private let nonce: [UInt8]
    private let crypto: SessionCrypto
    private let maximumFrame: Int
    /// Never iterated.
    private var sessions: [NodeName: Session]
    /// Of peers that have left the topology. Their lives may go on, and both sides' keys and counters with them: a key
    /// that was begun anew would seal other bytes under counters that were used. As many as names were ever known.
    private var departed: [NodeName: Session] = [:]

    /// - Parameter nonce: 32 bytes that no other life of this node has drawn.
    init(node: NodeID, peers: some Sequence<NodeName>, secret: [UInt8]?, nonce: [UInt8], maximumFrame: Int) {
        precondition(nonce.count == Session.Hello.nonceLength, "a session nonce has \(Session.Hello.nonceLength) bytes")
        self.node = node
        self.nonce = nonce
        self.maximumFrame = maximumFrame
        crypto = SessionCrypto(secret: secret)
        sessions = Dictionary(uniqueKeysWithValues: peers.map { ($0, Session()) })
    }

    /// Frames of the peer are taken from now on. One that was there before goes on where it left.
    mutating func join(_ peer: NodeName) {
        guard sessions[peer] == nil else { return }
        sessions[peer] = departed.removeValue(forKey: peer) ?? Session()
    }

    /// Frames of the peer are dropped from now on.
    mutating func leave(_ peer: NodeName) {
        if let session = sessions.removeValue(forKey: peer) { departed[peer] = session }
    }

    func session(with peer: NodeName) -> Session? { sessions[peer] }

    // MARK: Arriving frames

    /// What to do with an arriving frame.
    enum Examination {
        /// Open the body with this key, and tell `accept` when it opened.
        case data(FrameHeader, DirectionKey, headerLength: Int)
        /// A hello was taken in; the peer may be due one, or ready for data.
        /// - Parameter hasRestarted: whether another life of the peer was known until now.
        case hello(from: NodeID, sentAt: Int64?, hasRestarted: Bool)
        /// Dropped. The peer, when one is named, may be due a hello.
        case dropped(DropReason, peer: NodeName?)
    }

    mutating func examine(_ frame: UnsafeRawBufferPointer) -> Examination {
        guard frame.count <= maximumFrame else { return .dropped(.oversized, peer: nil) }
        switch FrameHeader.parse(frame) {
        case .failure(let reason): return .dropped(reason, peer: nil)
        case .success((let header, let length)):
            let peer = header.sender.name
            guard sessions[peer] != nil else { return .dropped(.unknownSender, peer: nil) }
            guard header.sealed == crypto.sealed else { return .dropped(.sealing, peer: nil) }
            switch header.kind {
            case .hello:
                switch receiveHello(header, frame: frame, headerLength: length) {
                case .success((let hello, let hasRestarted)):
                    return .hello(from: header.sender, sentAt: hello.sentAt, hasRestarted: hasRestarted)
                case .failure(let reason): return .dropped(reason, peer: nil)
                }
            case .data: return examineData(header, headerLength: length)
            }
        }
    }

    /// The frame of an examination opened.
    /// - Returns: why it is dropped all the same: the session moved on while the body was being opened.
    mutating func accept(_ header: FrameHeader) -> DropReason? {
        switch sessions[header.sender.name]?.key(for: header) {
        case .success:
            sessions[header.sender.name]?.opened(header)
            return nil
        case .failure(let reason): return reason
        case nil: return .unknownSender
        }
    }

    private mutating func examineData(_ header: FrameHeader, headerLength: Int) -> Examination {
        let peer = header.sender.name
        switch sessions[peer]?.key(for: header) {
        case .success(let key): return .data(header, key, headerLength: headerLength)
        case .failure(.unknownKey):
            sessions[peer]?.owe()
            return .dropped(.unknownKey, peer: peer)
        case .failure(let reason): return .dropped(reason, peer: nil)
        case nil: return .dropped(.unknownSender, peer: nil)
        }
    }

    private mutating func receiveHello(
        _ header: FrameHeader, frame: UnsafeRawBufferPointer, headerLength: Int
    ) -> Result<(Session.Hello, hasRestarted: Bool), DropReason> {
        let headerBytes = UnsafeRawBufferPointer(rebasing: frame[..<headerLength])
        let body = UnsafeRawBufferPointer(rebasing: frame[headerLength...])
        guard let opened = crypto.openHello(body, header: headerBytes) else { return .failure(.forged) }
        // Any error in it is the same to us.
        guard let hello = try? Session.Hello(opened) else { return .failure(.undecodable) }
        guard hello.receiver == node.name else { return .failure(.misdirected) }
        let taken = sessions[header.sender.name]?.receive(
            hello, from: header.sender, me: node.name, own: nonce, crypto: crypto)
        return (taken ?? .failure(.unknownSender)).map { (hello, $0) }
    }

    // MARK: Frames to be sent

    /// When the next hello to the peer is due; nil: none is.
    func helloDue(to peer: NodeName) -> MonotonicInstant? { sessions[peer]?.helloDue }

    /// What has been heard of the peer, and when the next hello to it is due.
    func standing(with peer: NodeName) -> (signs: PeerSilence.Signs, helloDue: MonotonicInstant?) {
        guard let session = sessions[peer] else { return (PeerSilence.Signs(heard: 0, asked: 0), nil) }
        return (PeerSilence.Signs(heard: session.heard, asked: session.asked), session.helloDue)
    }

    /// Makes a hello due that the peer answers.
    mutating func ask(_ peer: NodeName) { sessions[peer]?.ask() }

    /// - Parameters:
    ///   - entropy: 12 random bytes.
    ///   - sentAt: this node's clock, in nanoseconds.
    func hello(to peer: NodeName, entropy: [UInt8], sentAt: Int64? = nil) -> [UInt8]? {
        guard let session = sessions[peer] else { return nil }
        let header = FrameHeader(kind: .hello, sealed: crypto.sealed, sender: node).encoded
        return crypto.sealHello(
            session.hello(own: nonce, to: peer, sentAt: sentAt).encoded, header: header, nonce: entropy)
    }

    mutating func helloSent(to peer: NodeName, at now: MonotonicInstant) { sessions[peer]?.helloSent(at: now) }

    /// Leave to send one frame.
    struct Ticket {
        let header: FrameHeader
        fileprivate let key: DirectionKey

        func seal(_ body: [UInt8]) -> [UInt8] { key.seal(body, header: header) }
    }

    /// - Returns: nil when the peer cannot open anything of ours yet.
    mutating func ticket(to peer: NodeName) -> Ticket? {
        guard let (key, counter) = sessions[peer]?.takeCounter() else { return nil }
        let header = FrameHeader(
            kind: .data, sealed: crypto.sealed, sender: node, keyID: key.id, counter: counter)
        return Ticket(header: header, key: key)
    }

    /// The id of the key that data to the peer goes under now.
    func sendingKeyID(to peer: NodeName) -> UInt32? { sessions[peer]?.sending?.key.id }
}
