import Foundation
import NIOCore

/// An answer to a REGISTER, as far as a phone looks into it. Written for the drills alone: what judges the server must
/// not share its parser.
struct SIPAnswer: Hashable, Sendable {
    var status: Int
    var callID: String
    var cseq: UInt32
    /// Seconds (RFC 3261 section 20.33).
    var retryAfter: Int?
    /// The URI and the granted seconds of each Contact.
    var contacts: [Contact] = []
    /// `Expires`, for contacts without a parameter of their own.
    var expires: Int?
    var challenges: [SIPChallenge] = []

    struct Contact: Hashable, Sendable {
        var uri: String
        var expires: Int?
    }

    /// Reads a datagram.
    /// - Returns: nil when it is no answer to a REGISTER.
    init?(_ datagram: ByteBuffer) {
        let lines = Self.lines(datagram)
        guard let first = lines.first, first.hasPrefix("SIP/2.0 "), let status = Int(first.dropFirst(8).prefix(3)),
            (100...699).contains(status)
        else { return nil }
        self.status = status
        var callID: String?
        var cseq: UInt32?
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { return nil }
            let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            switch line[..<colon].trimmingCharacters(in: .whitespaces).lowercased() {
            case "call-id", "i": callID = value
            case "cseq":
                let parts = value.split(separator: " ")
                guard parts.count == 2, parts[1] == "REGISTER" else { return nil }
                cseq = UInt32(parts[0])
            case "retry-after": retryAfter = Int(value.prefix { $0.isNumber })
            case "expires": expires = Int(value)
            case "contact", "m": contacts += Self.contacts(value)
            case "www-authenticate": challenges += SIPChallenge(value).map { [$0] } ?? []
            default: break
            }
        }
        guard let callID, let cseq else { return nil }
        self.callID = callID
        self.cseq = cseq
    }

    /// The lines of the head, the status line first, without their ends. Cut at bytes, since a CRLF is one Character.
    private static func lines(_ datagram: ByteBuffer) -> [String] {
        datagram.withUnsafeReadableBytes { bytes in
            var lines: [String] = []
            var rest = bytes[...]
            while let base = UnsafeRawBufferPointer(rebasing: rest).baseAddress,
                let end = memchr(base, Int32(UInt8(ascii: "\n")), rest.count)
            {
                let length = UnsafeRawPointer(end) - base
                var line = rest.prefix(length)
                if line.last == UInt8(ascii: "\r") { line.removeLast() }
                guard !line.isEmpty else { break }
                lines.append(String(decoding: UnsafeRawBufferPointer(rebasing: line), as: UTF8.self))
                rest = rest.dropFirst(length + 1)
            }
            return lines
        }
    }

    /// The seconds granted to a contact; nil when the answer does not list it.
    func granted(to uri: String) -> Int? {
        contacts.first { $0.uri == uri }.flatMap { $0.expires ?? expires }
    }

    /// Contacts in angle brackets, as registrars write them.
    private static func contacts(_ value: String) -> [Contact] {
        value.split(separator: "<").dropFirst(value.hasPrefix("<") ? 0 : 1).compactMap { part in
            guard let close = part.firstIndex(of: ">") else { return nil }
            let parameters = part[part.index(after: close)...].prefix { $0 != "," }.split(separator: ";")
            let expires = parameters.first { $0.lowercased().hasPrefix("expires=") }
            return Contact(uri: String(part[..<close]), expires: expires.flatMap { Int($0.dropFirst(8)) })
        }
    }
}
