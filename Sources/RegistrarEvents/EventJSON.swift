public import MessagePack

/// The JSON of events and notifications.
///
/// A notification is `["event",{"id":…,"domain":…,"epoch":…,"seq":…,"replay":true,"event":{…}}]`. Only the id differs
/// from subscription to subscription, so a notification comes in two parts: a head for each subscription, and a tail
/// that is encoded once an event and shared by all. Types and their data: `docs/websocket.md`.
public enum EventJSON {
    /// Everything before the tail.
    /// - Parameter id: the subscription's id, encoded.
    public static func head(id: [UInt8]) -> [UInt8] {
        var json = JSONWriter(reserving: 24 + id.count)
        json.raw(#"["event",{"id":"#)
        json.raw(id)
        json.raw(",")
        return json.bytes
    }

    /// From `"domain":` to the closing bracket.
    /// - Throws: when the contact's bytes are not what `PackedContact` makes.
    public static func tail(
        of entry: LogEntry, domain: DomainName, epoch: UInt64
    ) throws(MessagePackError) -> [UInt8] {
        tail(of: entry, registration: try entry.change.contact?.registration(), domain: domain, epoch: epoch)
    }

    /// The same, with the contact unpacked already.
    /// - Parameter registration: the entry's contact; nil for `clear`.
    public static func tail(
        of entry: LogEntry, registration: Registration?, domain: DomainName, epoch: UInt64
    ) -> [UInt8] {
        tail(of: entry, domain: domain, epoch: epoch) { json in json.event(entry, registration) }
    }

    /// The same with other data, for those who want only some of it.
    /// - Parameter data: writes the members of `data`, without braces.
    public static func tail(
        of entry: LogEntry, type: String, domain: DomainName, epoch: UInt64, data: (inout JSONWriter) -> Void
    ) -> [UInt8] {
        tail(of: entry, domain: domain, epoch: epoch) { json in
            json.raw(#"{"class":"registrarevents","type":"#)
            json.string(type)
            json.raw(#","data":{"#)
            data(&json)
            json.raw(#"},"eventts":"#)
            json.integer(entry.timestamp)
            json.raw("}")
        }
    }

    /// The event alone, as Kafka and plugins get it: the platform's envelope with `domain`, then our position.
    /// `{"class":…,"type":…,"data":{…},"eventts":…,"domain":…,"epoch":…,"seq":…,"replay":true}`
    /// - Throws: when the contact's bytes are not what `PackedContact` makes.
    public static func envelope(
        of entry: LogEntry, domain: DomainName, epoch: UInt64
    ) throws(MessagePackError) -> [UInt8] {
        var json = JSONWriter(reserving: 768)
        try json.envelope(of: entry, domain: domain, epoch: epoch)
        return json.bytes
    }

    private static func tail(
        of entry: LogEntry, domain: DomainName, epoch: UInt64, event: (inout JSONWriter) -> Void
    ) -> [UInt8] {
        var json = JSONWriter(reserving: 768)
        json.raw(#""domain":"#)
        json.string(domain.rawValue)
        json.raw(#","epoch":"#)
        json.unsigned(epoch)
        json.raw(#","seq":"#)
        json.unsigned(entry.seq)
        if case .registered(_, _, replay: true) = entry.change { json.raw(#","replay":true"#) }
        json.raw(#","event":"#)
        event(&json)
        json.raw("}]")
        return json.bytes
    }
}

extension LogEntry.Change {
    /// The contact that the change is about; nil for `clear`.
    public var contact: PackedContact? {
        switch self {
        case .registered(let contact, _, _), .unregistered(let contact, _): contact
        case .clear: nil
        }
    }
}

extension JSONWriter {
    /// What `EventJSON.envelope` returns.
    public mutating func envelope(
        of entry: LogEntry, domain: DomainName, epoch: UInt64
    ) throws(MessagePackError) {
        members(of: entry, try entry.change.contact?.registration())
        raw(#","domain":"#)
        string(domain.rawValue)
        raw(#","epoch":"#)
        unsigned(epoch)
        raw(#","seq":"#)
        unsigned(entry.seq)
        if case .registered(_, _, replay: true) = entry.change { raw(#","replay":true"#) }
        raw("}")
    }

    /// `{"class":…,"type":…,"data":{…},"eventts":…}`.
    mutating func event(_ entry: LogEntry, _ registration: Registration?) {
        members(of: entry, registration)
        raw("}")
    }

    /// The same without the closing brace.
    private mutating func members(of entry: LogEntry, _ registration: Registration?) {
        raw(#"{"class":"registrarevents","type":"#)
        switch entry.change {
        case .registered(_, let ttl, _):
            registered(registration, ttl: ttl)
        case .unregistered(_, let reason):
            unregistered(registration, reason)
        case .clear(let reason):
            raw(#""clear","data":{"reason":"#)
            string(reason.name)
        }
        raw(#"},"eventts":"#)
        integer(entry.timestamp)
    }

    /// - Parameter ttl: in milliseconds; events say whole seconds, rounded up.
    private mutating func registered(_ registration: Registration?, ttl: UInt32) {
        guard let registration else { preconditionFailure("an event of a contact without its registration") }
        switch registration.details {
        case .user: raw(#""user_registered","data":{"#)
        case .sipuser: raw(#""sipuser_registered","data":{"#)
        }
        data(of: registration)
        raw(#","ttl":"#)
        unsigned((UInt64(ttl) + 999) / 1_000)
    }

    private mutating func unregistered(_ registration: Registration?, _ reason: UnregisterReason) {
        guard let registration else { preconditionFailure("an event of a contact without its registration") }
        switch registration.details {
        case .user: raw(#""user_unregistered","data":{"#)
        case .sipuser: raw(#""sipuser_unregistered","data":{"#)
        }
        data(of: registration)
        raw(#","reason":"#)
        string(reason.name)
    }

    /// The fields of an event's `data` that come from the registration, without braces.
    public mutating func data(of registration: Registration) {
        let key = registration.key
        switch registration.details {
        case .user(let user):
            raw(#""user_id":"#)
            string(key.account.name)
            raw(#","connection_id":"#)
            string(key.contact)
            raw(#","session_id":"#)
            string(user.sessionID)
            raw(#","app":"#)
            string(user.app)
            raw(#","caps":"#)
            strings(user.caps)
            peer(user.peerAddress, user.peerPort)
        case .sipuser(let sip):
            raw(#""sipuser_id":"#)
            string(key.account.name)
            raw(#","login":"#)
            string(sip.login)
            raw(#","contact_id":"#)
            string(key.contact)
            raw(#","contact_uri":"#)
            string(sip.contactURI)
            raw(#","instance_id":"#)
            string(sip.instanceID)
            raw(#","reg_id":"#)
            unsigned(UInt64(sip.regID))
            raw(#","contact_params":"#)
            string(sip.parameters)
            raw(#","user_agent":"#)
            string(sip.userAgent)
            raw(#","transport":"#)
            string(sip.transport)
            raw(#","path":"#)
            strings(sip.path)
            raw(#","call_id":"#)
            string(sip.callID)
            raw(#","cseq":"#)
            unsigned(UInt64(sip.cseq))
            peer(sip.peerAddress, sip.peerPort)
        }
    }

    private mutating func peer(_ address: String, _ port: UInt16) {
        raw(#","peer_address":"#)
        string(address)
        raw(#","peer_port":"#)
        unsigned(UInt64(port))
    }
}
