import NIOCore
import RegistrarEvents
import WebSocketFrames

/// A request as it came: `["method", {…}]`.
struct ClientMessage: Sendable {
    let method: String
    let parameters: Parameters

    /// What makes a message unfit to be answered by its method: the connection ends.
    struct Fault: Error, Sendable {
        let error: ReplyError
        let code: CloseCode
    }

    /// Deepest nesting of a client's message.
    static let maximumDepth = 16
    /// Most values of a client's message, arrays and objects counted eight times, for so much longer they take. Every
    /// subscription that is not refused has fewer.
    static let maximumValues = 4_096

    static func parse(_ text: ByteBuffer) throws(Fault) -> ClientMessage {
        let value: JSONValue
        do {
            value = try JSONValue(
                parsing: text.readableBytesView, maximumDepth: maximumDepth, maximumValues: maximumValues)
        } catch {
            let code: CloseCode = error == .malformed ? .invalidPayload : .policyViolation
            throw Fault(error: .badRequest("the message \(error)"), code: code)
        }
        guard case .array(let elements) = value, elements.count == 2, case .string(let method) = elements[0],
            method.utf8.count <= 64, case .object(let members) = elements[1]
        else {
            throw Fault(error: .badRequest(#"expected an array of two: ["method", {…}]"#), code: .policyViolation)
        }
        return ClientMessage(method: method, parameters: Parameters(members: members))
    }
}

/// The parameters of a request, read by name and kind.
struct Parameters: Sendable {
    let members: [String: JSONValue]

    /// Echoed in the reply; null when the request has none.
    var qid: JSONValue { members["qid"] ?? .null }

    /// Whether it is there, and not null.
    func has(_ name: String) -> Bool { (members[name] ?? .null) != .null }

    func string(_ name: String, maximum: Int = 1_024) throws(ReplyError) -> String {
        guard case .string(let text) = members[name], (1...maximum).contains(text.utf8.count) else {
            throw .badRequest("`\(name)` must be a string of 1 to \(maximum) bytes")
        }
        return text
    }

    func strings(_ name: String, maximum: Int) throws(ReplyError) -> [String] {
        guard has(name) else { return [] }
        guard case .array(let elements) = members[name], elements.count <= maximum else {
            throw .badRequest("`\(name)` must be an array of at most \(maximum) strings")
        }
        var texts: [String] = []
        for element in elements {
            switch element {
            case .string(let text) where text.utf8.count <= 1_024: texts.append(text)
            case .integer(let number): texts.append("\(number)")
            case .null, .boolean, .number, .string, .array, .object:
                throw .badRequest("`\(name)` must hold strings of at most 1024 bytes")
            }
        }
        return texts
    }

    func integer(_ name: String) throws(ReplyError) -> Int64? {
        guard has(name) else { return nil }
        guard case .integer(let value) = members[name], value >= 0 else {
            throw .badRequest("`\(name)` must be a whole number, 0 or more")
        }
        return value
    }

    func boolean(_ name: String) throws(ReplyError) -> Bool {
        guard has(name) else { return false }
        guard case .boolean(let value) = members[name] else { throw .badRequest("`\(name)` must be true or false") }
        return value
    }

    func object(_ name: String) throws(ReplyError) -> Parameters? {
        guard has(name) else { return nil }
        guard case .object(let members) = members[name] else { throw .badRequest("`\(name)` must be an object") }
        return Parameters(members: members)
    }
}

extension JSONValue {
    /// Most bytes of a `qid`: it is kept until the answer, and echoed there.
    static let maximumQID = 256

    /// Whether it will do as a `qid`.
    var isShort: Bool {
        switch self {
        case .null, .boolean, .integer, .number: return true
        case .string(let text): return text.utf8.count <= Self.maximumQID
        case .array, .object:
            var json = JSONWriter()
            json.value(self)
            return json.bytes.count <= Self.maximumQID
        }
    }
}
