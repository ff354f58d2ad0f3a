import RegistrarEvents

/// What a subscriber is told, as a client reads it from a websocket.
struct Notification: Hashable {
    enum Event: Hashable {
        /// `ttl` is in seconds.
        case registered(ContactKey, mark: Mark, ttl: Int64, isReplay: Bool)
        case unregistered(ContactKey, reason: String)
        case clear(reason: String)
        case state(AccountID, isOnline: Bool, isRestated: Bool)
    }

    /// Which registration of a contact it is.
    struct Mark: Hashable {
        /// What a net change would be told of.
        let device: String
        /// What differs from one REGISTER to the next.
        let request: String
    }

    let position: Position
    let event: Event

    /// - Parameter tail: the notification without its head (`EventJSON.tail`).
    /// - Returns: nil when it is not what it should be.
    init?(tail: [UInt8]) {
        // Whatever is wrong with it, the subscriber cannot read it.
        guard let message = try? JSONValue(parsing: Array("{".utf8) + tail.dropLast(), maximumDepth: 16),
            let fields = message.object, let epoch = fields["epoch"]?.integer, let seq = fields["seq"]?.integer,
            let event = fields["event"]?.object, let type = event["type"]?.text, let data = event["data"]?.object
        else { return nil }
        position = Position(epoch: UInt64(epoch), seq: UInt64(seq))
        let isReplay = fields["replay"] == .boolean(true)
        switch type {
        case "clear":
            guard let reason = data["reason"]?.text else { return nil }
            self.event = .clear(reason: reason)
        case "data_changed":
            guard let view = data["eclass"]?.text, let name = data["eid"]?.text,
                let kind = AccountKind.allCases.first(where: { $0.statesView == view }),
                let status = data["entity"]?.object?["status"]?.text
            else { return nil }
            self.event = .state(AccountID(kind, name), isOnline: status == "online", isRestated: isReplay)
        case "user_registered", "sipuser_registered":
            guard let key = Self.key(data), let mark = Self.mark(data), let ttl = data["ttl"]?.integer
            else { return nil }
            self.event = .registered(key, mark: mark, ttl: ttl, isReplay: isReplay)
        case "user_unregistered", "sipuser_unregistered":
            guard let key = Self.key(data), let reason = data["reason"]?.text else { return nil }
            self.event = .unregistered(key, reason: reason)
        default: return nil
        }
    }

    /// What a client is to be told of an entry of the log.
    init?(_ entry: LogEntry, epoch: UInt64) {
        position = Position(epoch: epoch, seq: entry.seq)
        switch entry.change {
        case .clear(let reason): event = .clear(reason: reason.name)
        case .registered(let contact, let ttl, let isReplay):
            guard let key = World.key(contact), let mark = Self.mark(contact) else { return nil }
            event = .registered(key, mark: mark, ttl: (Int64(ttl) + 999) / 1_000, isReplay: isReplay)
        case .unregistered(let contact, let reason):
            guard let key = World.key(contact) else { return nil }
            event = .unregistered(key, reason: reason.name)
        }
    }

    var account: AccountID? {
        switch event {
        case .registered(let key, _, _, _), .unregistered(let key, _): key.account
        case .state(let account, _, _): account
        case .clear: nil
        }
    }

    /// Whether it begins a list that is sent to one subscriber, and stands in no log.
    var beginsList: Bool { event == .clear(reason: "snapshot") || event == .clear(reason: "resync") }

    private static func key(_ data: [String: JSONValue]) -> ContactKey? {
        if let account = data["user_id"]?.text, let contact = data["connection_id"]?.text {
            return ContactKey(.user, account, contact)
        }
        guard let account = data["sipuser_id"]?.text, let contact = data["contact_id"]?.text else { return nil }
        return ContactKey(.sipuser, account, contact)
    }

    private static func mark(_ data: [String: JSONValue]) -> Mark? {
        if let session = data["session_id"]?.text { return Mark(device: session, request: "") }
        guard let agent = data["user_agent"]?.text, let call = data["call_id"]?.text,
            let number = data["cseq"]?.integer
        else { return nil }
        return Mark(device: agent, request: "\(call) \(number)")
    }

    /// Of a contact as owners hold it.
    static func mark(_ contact: PackedContact) -> Mark? {
        // It was packed here.
        switch try? contact.registration().details {
        case .user(let user): Mark(device: user.sessionID, request: "")
        case .sipuser(let sip): Mark(device: sip.userAgent, request: "\(sip.callID) \(sip.cseq)")
        case nil: nil
        }
    }
}

extension Notification: CustomStringConvertible {
    var description: String {
        let text =
            switch event {
            case .registered(let key, _, let ttl, let isReplay):
                "registered \(key) for \(ttl)s" + (isReplay ? " again" : "")
            case .unregistered(let key, let reason): "unregistered \(key): \(reason)"
            case .clear(let reason): "clear: \(reason)"
            case .state(let account, let isOnline, _):
                "\(account.kind.name) \(account.name) is \(isOnline ? "online" : "offline")"
            }
        return "\(position) \(text)"
    }
}
