/// An event and its place in the order of its domain.
public struct Notification: Decodable, Sendable {
    public let domain: String
    public let epoch: UInt64
    public let seq: UInt64
    /// Restates after a `clear`; left out otherwise.
    public let replay: Bool?
    public let event: Event

    public struct Event: Decodable, Sendable {
        public let `class`: String
        public let type: String
        public let data: [String: JSON]?
    }

    public var position: Position { Position(epoch: epoch, seq: seq) }

    private enum Field: CodingKey {
        case domain, epoch, seq, replay, event
    }

    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Field.self)
        domain = try fields.decode(String.self, forKey: .domain)
        epoch = try fields.decode(UInt64.self, forKey: .epoch)
        seq = try fields.decode(UInt64.self, forKey: .seq)
        replay = try fields.decodeIfPresent(Bool.self, forKey: .replay)
        // Kafka and webhooks send it in one piece.
        event = try fields.decodeIfPresent(Event.self, forKey: .event) ?? Event(from: decoder)
    }
}

/// A place in a domain's order. Epochs only grow; within one, numbers count from 1 without gaps.
public struct Position: Comparable, Codable, Sendable {
    public var epoch: UInt64
    public var seq: UInt64

    /// Before everything.
    public static let start = Position(epoch: 0, seq: 0)

    public init(epoch: UInt64, seq: UInt64) {
        self.epoch = epoch
        self.seq = seq
    }

    public var next: Position { Position(epoch: epoch, seq: seq + 1) }

    public static func < (left: Position, right: Position) -> Bool {
        (left.epoch, left.seq) < (right.epoch, right.seq)
    }
}

/// What a contact is known by: names repeat from kind to kind and from account to account.
///
/// Names are bytes here. Swift's strings are equal when they look alike (`é` in one character or two); these are not.
public struct ContactKey: Hashable, Sendable {
    public let kind: String
    public let account: [UInt8]
    public let contact: [UInt8]

    /// - Parameters:
    ///   - kind: `user` or `sipuser`
    ///   - data: an event's; nil when it does not name a contact
    init?(kind: String, data: [String: JSON]) {
        let names = kind == "user" ? ("user_id", "connection_id") : ("sipuser_id", "contact_id")
        guard let account = data[names.0]?.text, let contact = data[names.1]?.text else { return nil }
        self.kind = kind
        self.account = Array(account.utf8)
        self.contact = Array(contact.utf8)
    }
}
