import Foundation
import HTTPTypes
import Hummingbird
import RegistrarEvents

/// A registration as a service sends it: `{"kind","account","contact_id","ttl",…fields of the event}`.
struct ContactRequest: Sendable {
    let contact: PackedContact
    let account: String
    /// Milliseconds.
    let ttl: UInt32

    /// Longest time to live that can be asked for, in seconds (the domain may grant less).
    static let maximumTTL = Int64(UInt32.max / 1_000)

    /// - Throws: 400 with the field, what it is and what was expected.
    init(json bytes: [UInt8]) throws(AdminError) {
        var fields = try ContactFields(json: bytes)
        let kind = try AccountKind(text: try fields.required("kind"))
        let account = try fields.required("account")
        let contact = try fields.required("contact_id")
        let seconds = try fields.integer("ttl", 1...Self.maximumTTL)
        guard let seconds else {
            throw AdminError(.badRequest, "ttl is missing; expected seconds, from 1 to \(Self.maximumTTL)")
        }
        let registration: Registration
        switch kind {
        case .user:
            try fields.alias("user_id", of: account)
            try fields.alias("connection_id", of: contact)
            registration = Registration(account: account, contact: contact, user: try UserDetails(&fields))
        case .sipuser:
            try fields.alias("sipuser_id", of: account)
            registration = Registration(account: account, contact: contact, sipuser: try SIPUserDetails(&fields))
        }
        try fields.finish(kind)
        guard let packed = PackedContact(registration) else {
            throw AdminError(
                .badRequest,
                "the contact is too long; expected account and contact_id of at most "
                    + "\(PackedContact.maximumNameLength) bytes each, and \(PackedContact.maximumLength) in all")
        }
        self.contact = packed
        self.account = account
        ttl = UInt32(seconds) * 1_000
    }
}

extension UserDetails {
    fileprivate init(_ fields: inout ContactFields) throws(AdminError) {
        self.init(
            sessionID: try fields.string("session_id"), app: try fields.string("app"),
            caps: try fields.strings("caps"), peerAddress: try fields.string("peer_address"),
            peerPort: UInt16(try fields.integer("peer_port", 0...Int64(UInt16.max)) ?? 0))
    }
}

extension SIPUserDetails {
    fileprivate init(_ fields: inout ContactFields) throws(AdminError) {
        self.init(
            login: try fields.string("login"),
            contactURI: try fields.address("contact_uri", atMost: Self.maximumURILength),
            instanceID: try fields.address("instance_id", atMost: Self.maximumInstanceLength),
            regID: UInt32(try fields.integer("reg_id", 0...Int64(UInt32.max)) ?? 0),
            parameters: try fields.contactParameters("contact_params"), userAgent: try fields.string("user_agent"),
            transport: try fields.string("transport"), path: try fields.strings("path"),
            callID: try fields.string("call_id"),
            cseq: UInt32(try fields.integer("cseq", 0...Int64(UInt32.max)) ?? 0),
            peerAddress: try fields.string("peer_address"),
            peerPort: UInt16(try fields.integer("peer_port", 0...Int64(UInt16.max)) ?? 0))
    }
}
