import Foundation
import HTTPTypes
import Hummingbird
import RegistrarEvents
import SIP

/// The members of a JSON object, taken out one by one, so that those nobody asked for can be named.
struct ContactFields: Sendable {
    private var fields: [String: Value]

    /// The values that a field may have.
    private enum Value: Decodable, Sendable {
        case string(String)
        case integer(Int64)
        case strings([String])
        case other

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            // Each attempt that fails only says that the value is of another kind.
            if let text = try? container.decode(String.self) {
                self = .string(text)
            } else if let number = try? container.decode(Int64.self) {
                self = .integer(number)
            } else if let texts = try? container.decode([String].self) {
                self = .strings(texts)
            } else {
                self = .other
            }
        }
    }

    init(json bytes: [UInt8]) throws(AdminError) {
        do {
            fields = try JSONDecoder().decode([String: Value].self, from: Data(bytes))
        } catch {
            throw AdminError(.badRequest, "the body is not a JSON object; expected {\"kind\":…,\"account\":…}")
        }
    }

    /// A text that has to be there and not be empty.
    mutating func required(_ name: String) throws(AdminError) -> String {
        let text = try string(name)
        guard !text.isEmpty else { throw AdminError(.badRequest, "\(name) is missing or empty; expected a string") }
        return text
    }

    /// A text; empty when it is not there.
    mutating func string(_ name: String) throws(AdminError) -> String {
        switch fields.removeValue(forKey: name) {
        case nil: return ""
        case .string(let text): return try Self.line(text, name)
        case .integer, .strings, .other: throw AdminError(.badRequest, "\(name) is not a string; expected one")
        }
    }

    /// A text that SIP devices are told between angle brackets, perhaps within quotes.
    /// - Parameter length: the most it may have, in bytes.
    mutating func address(_ name: String, atMost length: Int) throws(AdminError) -> String {
        let text = try string(name)
        guard !text.utf8.contains(where: { "<>\"".utf8.contains($0) }) else {
            throw AdminError(.badRequest, "\(name) has an angle bracket or a quote; expected none")
        }
        guard text.utf8.count <= length else {
            throw AdminError(.badRequest, "\(name) has \(text.utf8.count) bytes; expected \(length) at most")
        }
        return text
    }

    /// Parameters that SIP devices are told behind a contact's address, as they are: what is none could be another
    /// address there.
    mutating func contactParameters(_ name: String) throws(AdminError) -> String {
        let text = try string(name)
        guard !text.isEmpty else { return text }
        let contact: NameAddress
        do throws(SIPParseError) {
            contact = try NameAddress(parsing: SIPText("<sip:contact.invalid>;\(text)"))
        } catch {
            throw AdminError(
                .badRequest, "\(name) is no list of SIP parameters; expected such as q=0.5;audio;description=\"a, b\"")
        }
        for (parameter, _) in contact.parameters.all where ContactField.isKeptApart(parameter) {
            throw AdminError(
                .badRequest, "\(name) has \(parameter.string), which follows from other fields; expected others only")
        }
        return text
    }

    mutating func strings(_ name: String) throws(AdminError) -> [String] {
        switch fields.removeValue(forKey: name) {
        case nil: return []
        case .strings(let texts):
            for text in texts { _ = try Self.line(text, name) }
            return texts
        case .string, .integer, .other:
            throw AdminError(.badRequest, "\(name) is not an array of strings; expected one")
        }
    }

    /// SIP devices are answered with texts of contacts as they are: one with a line end in it would be a header field.
    private static func line(_ text: String, _ name: String) throws(AdminError) -> String {
        guard !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
            throw AdminError(.badRequest, "\(name) has a control character; expected none")
        }
        return text
    }

    mutating func integer(_ name: String, _ range: ClosedRange<Int64>) throws(AdminError) -> Int64? {
        guard let value = fields.removeValue(forKey: name) else { return nil }
        guard case .integer(let number) = value, range.contains(number) else {
            throw AdminError(
                .badRequest,
                "\(name) is out of range or not a whole number; "
                    + "expected \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// A field of the event that says the same as one that was taken already.
    mutating func alias(_ name: String, of value: String) throws(AdminError) {
        guard fields[name] != nil, try string(name) != value else { return }
        throw AdminError(.badRequest, "\(name) contradicts another field; expected \(value)")
    }

    /// Throws when something is left.
    func finish(_ kind: AccountKind) throws(AdminError) {
        guard let unknown = fields.keys.min() else { return }
        throw AdminError(
            .badRequest, "\(unknown) is not known for kind \(kind.name); expected fields of the event only")
    }
}
