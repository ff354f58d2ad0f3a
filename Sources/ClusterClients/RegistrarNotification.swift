import Foundation
package import NIOCore
package import RegistrarEvents

/// A notification of `registrarevents`, as far as clients of the domain's list look into it.
package struct RegistrarNotification: Hashable, Sendable {
    package enum Change: Hashable, Sendable {
        /// The account (`user_id`, `sipuser_id`) and the contact (`connection_id`, `contact_id`).
        case registered(AccountKind, account: String, contact: String)
        case unregistered(AccountKind, account: String, contact: String, reason: String)
        case clear(reason: String)
        /// Of a type that this version does not know.
        case other(String)
    }

    package var position = Position.start
    package var replay = false
    package var change = Change.other("")
    /// Of SIP contacts: the URI the device is reached by, and the CSeq of the request.
    package var contactURI = ""
    package var cseq: UInt32?
    /// The object `{id, domain, epoch, seq, replay?, event}` as it came.
    package var json = ""

    /// Whether the `clear` was made for one subscriber, and is not in the domain's log.
    package var isOwnClear: Bool {
        guard case .clear(let reason) = change else { return false }
        return reason == ClearReason.snapshot.name || reason == ClearReason.resync.name
    }
}

extension RegistrarNotification {
    /// Reads `["event", {…}]`.
    /// - Parameter keepingJSON: whether `json` is wanted.
    /// - Returns: nil when the message is something else, such as a reply.
    /// - Throws: `JSONScanner.Malformed`.
    package static func read(_ message: ByteBuffer, keepingJSON: Bool = false) throws -> RegistrarNotification? {
        try message.withUnsafeReadableBytes { bytes in
            var scanner = JSONScanner(bytes)
            var result: RegistrarNotification?
            try scanner.elements { (index, scanner) throws(JSONScanner.Malformed) in
                if index == 0 {
                    if try scanner.rawString().equals("event") { result = RegistrarNotification() }
                } else if index == 1, result != nil {
                    let body = try scanner.rawValue()
                    try result?.take(body)
                    if keepingJSON { result?.json = String(decoding: body, as: UTF8.self) }
                } else {
                    try scanner.skipValue()
                }
            }
            return result
        }
    }

    private mutating func take(_ body: UnsafeRawBufferPointer) throws(JSONScanner.Malformed) {
        var position = Position.start
        var replay = false
        var parts = EventParts()
        var scanner = JSONScanner(body)
        try scanner.members { (key, scanner) throws(JSONScanner.Malformed) in
            if key.equals("epoch") {
                position.epoch = try scanner.unsigned()
            } else if key.equals("seq") {
                position.seq = try scanner.unsigned()
            } else if key.equals("replay") {
                replay = try scanner.boolean()
            } else if key.equals("event") {
                try parts.take(&scanner)
            } else {
                try scanner.skipValue()
            }
        }
        self.position = position
        self.replay = replay
        take(parts)
    }

    /// What happened, of an object with `type` and `data`.
    mutating func takeEvent(_ event: UnsafeRawBufferPointer) throws(JSONScanner.Malformed) {
        var parts = EventParts()
        var scanner = JSONScanner(event)
        try parts.take(&scanner)
        take(parts)
    }

    private mutating func take(_ parts: EventParts) {
        change = parts.change
        contactURI = parts.contactURI
        cseq = parts.cseq
    }
}

/// What of an event is looked at, collected in whichever order its members come.
private struct EventParts {
    private var type = ""
    private var user = ""
    private var connection = ""
    private var sipuser = ""
    private var contact = ""
    private var reason = ""
    fileprivate var contactURI = ""
    fileprivate var cseq: UInt32?

    mutating func take(_ scanner: inout JSONScanner) throws(JSONScanner.Malformed) {
        var parts = self
        try scanner.members { (key, scanner) throws(JSONScanner.Malformed) in
            if key.equals("type") {
                parts.type = text(try scanner.rawString())
            } else if key.equals("data") {
                try scanner.members { (key, scanner) throws(JSONScanner.Malformed) in
                    if key.equals("sipuser_id") {
                        parts.sipuser = text(try scanner.rawString())
                    } else if key.equals("contact_id") {
                        parts.contact = text(try scanner.rawString())
                    } else if key.equals("user_id") {
                        parts.user = text(try scanner.rawString())
                    } else if key.equals("connection_id") {
                        parts.connection = text(try scanner.rawString())
                    } else if key.equals("contact_uri") {
                        parts.contactURI = text(try scanner.rawString())
                    } else if key.equals("cseq") {
                        parts.cseq = UInt32(clamping: try scanner.unsigned())
                    } else if key.equals("reason") {
                        parts.reason = text(try scanner.rawString())
                    } else {
                        try scanner.skipValue()
                    }
                }
            } else {
                try scanner.skipValue()
            }
        }
        self = parts
    }

    var change: RegistrarNotification.Change {
        switch type {
        case "sipuser_registered": .registered(.sipuser, account: sipuser, contact: contact)
        case "user_registered": .registered(.user, account: user, contact: connection)
        case "sipuser_unregistered": .unregistered(.sipuser, account: sipuser, contact: contact, reason: reason)
        case "user_unregistered": .unregistered(.user, account: user, contact: connection, reason: reason)
        case "clear": .clear(reason: reason)
        default: .other(type)
        }
    }
}

/// The text of a string as it stands in JSON. Escapes are rare, so they are left to a decoder.
private func text(_ raw: UnsafeRawBufferPointer) -> String {
    guard raw.contains(UInt8(ascii: "\\")) else { return String(decoding: raw, as: UTF8.self) }
    let quoted = Data("\"".utf8) + Data(raw) + Data("\"".utf8)
    // Escapes that are none stand in the text as they came.
    return (try? JSONDecoder().decode(String.self, from: quoted)) ?? String(decoding: raw, as: UTF8.self)
}
