import ClusterRuntime
import MessagePack

/// How two node lives come to share keys, seen from one of them. A pure value: no socket, no clock, no randomness.
///
/// Each life of a node draws a nonce. A hello carries the sender's nonce and echoes the receiver's as far as known.
/// From both nonces each side derives one key a direction.
///
/// - `receiving` exists from the peer's first hello. It is not `proven` until a frame opens under it: a hello may be a
///   recording, but nobody can seal a frame for a nonce drawn just now.
/// - `sending` exists from the first hello that echoes our nonce: the peer is alive together with us and has our key.
///
/// Invariants: a peer's incarnation only grows; one incarnation has one nonce (so a key, once replaced, never comes
/// back and no counter is used twice); a recorded hello changes nothing of a session with a live peer.
struct Session {
    struct Receiving {
        var peer: NodeID
        var nonce: [UInt8]
        var key: DirectionKey
        /// Counter of the last frame taken; only greater ones are.
        var last: UInt64 = 0
        var proven: Bool { last > 0 }
    }

    struct Sending {
        var peer: NodeID
        var key: DirectionKey
        var next: UInt64 = 1
    }

    /// The parts of a hello's body.
    struct Hello: Equatable {
        var nonce: [UInt8]
        /// The receiver's nonce, as far as the sender knows it, or empty.
        var echo: [UInt8]
        var receiver: NodeName
        /// The sender has not had its own nonce echoed yet, or has heard nothing for long.
        var wantsAnswer: Bool
        /// The sender's clock, in nanoseconds; nil from earlier versions.
        var sentAt: Int64?
    }

    private(set) var receiving: Receiving?
    private(set) var sending: Sending?
    /// Frames of the peer taken in so far.
    private(set) var heard: UInt64 = 0
    /// Hellos of the peer that wanted an answer although it has had one: it does not hear us.
    private(set) var asked: UInt64 = 0
    /// Whether the peer should hear from us, apart from what we want ourselves.
    private var owesAnswer = false
    /// Whether the next hello is to be answered although there is a session.
    private var asks = false
    /// Hellos sent without getting an echo.
    private var attempts = 0
    private var lastHello: MonotonicInstant?

    // MARK: Receiving

    /// - Returns: whether the hello began another life of the peer than the one known, or why it counts for nothing.
    mutating func receive(
        _ hello: Hello, from peer: NodeID, me: NodeName, own: [UInt8], crypto: SessionCrypto
    ) -> Result<Bool, DropReason> {
        if let receiving {
            guard peer.incarnation >= receiving.peer.incarnation else { return .failure(.staleIncarnation) }
            if peer.incarnation == receiving.peer.incarnation && hello.nonce != receiving.nonce {
                return .failure(.forged)
            }
        }
        let hasRestarted = receiving.map { $0.peer != peer } ?? false
        if hello.echo == own && hello.wantsAnswer && sending?.peer == peer { asked += 1 }
        if receiving?.peer != peer {
            let key = crypto.directionKey(
                sender: peer.name, senderNonce: hello.nonce, receiver: me, receiverNonce: own)
            receiving = Receiving(peer: peer, nonce: hello.nonce, key: key)
            sending = nil
            attempts = 0
        }
        if hello.echo == own && sending == nil {
            let key = crypto.directionKey(
                sender: me, senderNonce: own, receiver: peer.name, receiverNonce: hello.nonce)
            sending = Sending(peer: peer, key: key)
            attempts = 0
        }
        if hello.echo != own || hello.wantsAnswer { owesAnswer = true }
        heard += 1
        return .success(hasRestarted)
    }

    /// The key for a data frame by its header, or why there is none.
    func key(for header: FrameHeader) -> Result<DirectionKey, DropReason> {
        guard let receiving else { return .failure(.unknownKey) }
        guard header.sender.incarnation >= receiving.peer.incarnation else { return .failure(.staleIncarnation) }
        guard header.sender == receiving.peer, header.keyID == receiving.key.id else { return .failure(.unknownKey) }
        guard header.counter > receiving.last else { return .failure(.replayed) }
        return .success(receiving.key)
    }

    /// A frame with this header opened.
    mutating func opened(_ header: FrameHeader) {
        receiving?.last = header.counter
        heard += 1
    }

    /// A frame came under a key that we do not have: the peer must learn our nonce.
    mutating func owe() { owesAnswer = true }

    /// The peer was silent for long: the next hello, which is due now, is to be answered.
    mutating func ask() {
        asks = true
        owesAnswer = true
    }

    // MARK: Sending

    /// When the next hello is due; nil: none is.
    var helloDue: MonotonicInstant? {
        guard owesAnswer || sending == nil else { return nil }
        guard let lastHello else { return .distantPast }
        return lastHello + (owesAnswer ? SessionPeriods.spacing : SessionPeriods.retry(after: attempts))
    }

    func hello(own: [UInt8], to peer: NodeName, sentAt: Int64?) -> Hello {
        Hello(
            nonce: own, echo: receiving?.nonce ?? [], receiver: peer, wantsAnswer: sending == nil || asks,
            sentAt: sentAt)
    }

    mutating func helloSent(at now: MonotonicInstant) {
        lastHello = now
        owesAnswer = false
        asks = false
        if sending == nil { attempts += 1 }
    }

    /// Takes the next counter of the key to the peer; nil: the peer cannot open anything of ours yet.
    mutating func takeCounter() -> (key: DirectionKey, counter: UInt64)? {
        guard var current = sending else { return nil }
        let counter = current.next
        current.next += 1
        sending = current
        return (current.key, counter)
    }
}

/// The rhythm of hellos.
enum SessionPeriods {
    /// Between two hellos to one peer, whatever it sends: nobody can make a node flood another.
    static let spacing: Duration = .milliseconds(10)
    /// Between a hello and the next while the peer does not answer: doubles from the first to the last.
    static let firstRetry: Duration = .milliseconds(50)
    static let lastRetry: Duration = .milliseconds(500)

    static func retry(after attempts: Int) -> Duration {
        min(firstRetry * (1 << min(max(attempts - 1, 0), 4)), lastRetry)
    }
}

extension Session.Hello {
    static let nonceLength = 32

    var encoded: [UInt8] {
        var writer = MessagePackWriter()
        writer.array(sentAt == nil ? 4 : 5)
        writer.binary(nonce)
        writer.binary(echo)
        writer.string(receiver.rawValue)
        writer.boolean(wantsAnswer)
        if let sentAt { writer.integer(sentAt) }
        return writer.finish()
    }

    init(_ bytes: [UInt8]) throws(MessagePackError) {
        self = try MessagePack.decode(bytes) { (value) throws(MessagePackError) in
            let fields = try value.array()
            let hello = Self(
                nonce: try fields.binary(0), echo: try fields.binary(1), receiver: NodeName(try fields.string(2)),
                wantsAnswer: try fields.boolean(3), sentAt: fields.count > 4 ? try fields.integer(4) : nil)
            guard hello.nonce.count == Self.nonceLength, [0, Self.nonceLength].contains(hello.echo.count) else {
                throw .unexpected("nonces of \(Self.nonceLength) bytes")
            }
            return hello
        }
    }
}
