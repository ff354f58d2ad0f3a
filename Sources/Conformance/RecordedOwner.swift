import RegistrarEvents

/// A domain as its owner knows it: what a consumer must hold is what this lists, whatever became of the
/// stream on the way.
///
/// Each change gives the notification of its event; whether, when and how often it is sent is the recording's matter.
struct RecordedOwner {
    struct Contact {
        let name: ContactName
        let kind: AccountKind
        /// The members of an event's data, but `ttl` and `reason`.
        let data: [String: JSONValue]
    }

    /// The body of a notification, and where it stands.
    struct Event {
        let position: Position
        var body: [String: JSONValue]
    }

    let domain: String
    private(set) var position: Position
    private(set) var contacts: [Contact] = []
    /// Every event of the log, of all epochs.
    private(set) var log: [Event] = []
    private var time: Int64 = 1_735_689_600_000

    init(_ domain: String, epoch: UInt64 = 0) {
        self.domain = domain
        position = Position(epoch: epoch, seq: 0)
    }

    /// What the expectation of a consumer's list names.
    var listing: [[String: JSONValue]] {
        contacts.map { contact in
            contact.data.merging([
                "kind": .string(contact.kind.name), "account": .string(contact.name.accountName),
                "contact_id": .string(contact.name.contactID),
            ]) { $1 }
        }
    }

    mutating func register(_ contact: Contact, ttl: Int64 = 3_600) -> Event {
        put(contact)
        return note("\(contact.kind.name)_registered", contact.data.with("ttl", .integer(ttl)))
    }

    /// - Precondition: the contact is registered.
    mutating func unregister(
        _ kind: AccountKind, _ account: String, _ contact: String, _ reason: UnregisterReason = .unregisterContact
    ) -> Event {
        let name = ContactName(kind, account, contact)
        guard let index = contacts.firstIndex(where: { $0.name == name }) else {
            preconditionFailure("the recording ends \(name), which is not registered")
        }
        let ended = contacts.remove(at: index)
        return note("\(kind.name)_unregistered", ended.data.with("reason", .string(reason.name)))
    }

    /// Another owner takes over: nothing that came before counts until it is restated.
    mutating func succeed(_ reason: ClearReason, epochs: UInt64 = 1) -> Event {
        position = Position(epoch: position.epoch + epochs, seq: 0)
        return note("clear", ["reason": .string(reason.name)])
    }

    mutating func clear() -> Event {
        contacts = []
        return note("clear", ["reason": .string(ClearReason.storageCleared.name)])
    }

    /// What nobody kept: the owner and its standbys were lost together.
    mutating func forget(_ name: ContactName) { contacts.removeAll { $0.name == name } }
    mutating func forgetAll() { contacts = [] }

    /// Restates these contacts in the log, as far as they are live by now.
    mutating func restate(_ chosen: [Contact]? = nil) -> [Event] {
        (chosen ?? contacts).compactMap { contact in
            guard contacts.contains(where: { $0.name == contact.name }) else { return nil }
            return note("\(contact.kind.name)_registered", contact.data.with("ttl", 1_800), replay: true)
        }
    }

    /// `clear` and everything live for one consumer alone: not in the log, and all at the position it is taken at.
    mutating func resync() -> [Event] {
        [event("clear", ["reason": .string(ClearReason.resync.name)])]
            + contacts.map { event("\($0.kind.name)_registered", $0.data.with("ttl", 1_800), replay: true) }
    }

    /// An event that is none of ours to know.
    mutating func note(_ type: String, _ data: [String: JSONValue], replay: Bool = false) -> Event {
        position.seq += 1
        let event = event(type, data, replay: replay)
        log.append(event)
        return event
    }

    private mutating func event(_ type: String, _ data: [String: JSONValue], replay: Bool = false) -> Event {
        time += 10
        var body: [String: JSONValue] = [
            "domain": .string(domain), "epoch": .integer(Int64(position.epoch)), "seq": .integer(Int64(position.seq)),
            "event": .object([
                "class": "registrarevents", "type": .string(type), "data": .object(data), "eventts": .integer(time),
            ]),
        ]
        if replay { body["replay"] = true }
        return Event(position: position, body: body)
    }

    private mutating func put(_ contact: Contact) {
        if let index = contacts.firstIndex(where: { $0.name == contact.name }) {
            contacts[index] = contact
        } else {
            contacts.append(contact)
        }
    }
}

extension RecordedOwner.Contact {
    static func sip(
        _ account: String, _ contact: String, cseq: Int64 = 1, _ more: [String: JSONValue] = [:]
    ) -> RecordedOwner.Contact {
        let data: [String: JSONValue] = [
            "sipuser_id": .string(account), "contact_id": .string(contact), "cseq": .integer(cseq), "path": [],
            "contact_uri": "sip:192.0.2.7", "peer_port": 5060,
        ]
        return RecordedOwner.Contact(
            name: ContactName(.sipuser, account, contact), kind: .sipuser, data: data.merging(more) { $1 })
    }

    static func user(_ account: String, _ connection: String) -> RecordedOwner.Contact {
        RecordedOwner.Contact(
            name: ContactName(.user, account, connection), kind: .user,
            data: [
                "user_id": .string(account), "connection_id": .string(connection), "app": "phonebook",
                "caps": ["subscr"],
            ])
    }
}

extension [String: JSONValue] {
    fileprivate func with(_ name: String, _ value: JSONValue) -> [String: JSONValue] { merging([name: value]) { $1 } }
}
