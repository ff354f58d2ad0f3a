import RegistrarReducer

/// What comes on a line: a notification by itself, or `[method, body]`.
enum Message: Decodable {
    case event(Notification)
    case synced(Place)
    case state(Query)
    /// Of a later version.
    case other

    struct Place: Decodable {
        let domain: String
        let epoch: UInt64
        let seq: UInt64
    }

    struct Query: Decodable {
        let qid: JSON
        let domain: String
    }

    init(from decoder: any Decoder) throws {
        guard var list = try? decoder.unkeyedContainer() else {
            self = .event(try Notification(from: decoder))
            return
        }
        switch try list.decode(String.self) {
        case "event": self = .event(try list.decode(Notification.self))
        case "synced": self = .synced(try list.decode(Place.self))
        case "state": self = .state(try list.decode(Query.self))
        default: self = .other
        }
    }
}

/// `["state_result", {…}]`.
struct State: Encodable {
    let qid: JSON
    let kept: DomainSet

    private enum Field: String, CodingKey {
        case qid, result, position, whole, contacts
    }

    func encode(to encoder: any Encoder) throws {
        var list = encoder.unkeyedContainer()
        try list.encode("state_result")
        var body = list.nestedContainer(keyedBy: Field.self)
        try body.encode(qid, forKey: .qid)
        try body.encode("ok", forKey: .result)
        try body.encode(kept.position, forKey: .position)
        try body.encode(kept.isWhole, forKey: .whole)
        let contacts = kept.contacts.map { key, data in
            let identity: [String: JSON] = [
                "kind": .string(key.kind), "account": .string(String(decoding: key.account, as: UTF8.self)),
                "contact_id": .string(String(decoding: key.contact, as: UTF8.self)),
            ]
            return data.merging(identity) { $1 }
        }
        try body.encode(contacts, forKey: .contacts)
    }
}
