import FoundationEssentials

/// Any JSON value, for what comes from outside in a form that is known only when it is read.
///
/// Source: RFC 8259. A number that is whole and fits 64 bits is an `integer`, however it was written.
public enum JSONValue: Sendable, Hashable {
    case null
    case boolean(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    public var text: String? { if case .string(let value) = self { value } else { nil } }
    public var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
    public var boolean: Bool? { if case .boolean(let value) = self { value } else { nil } }
    public var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    public var object: [String: JSONValue]? { if case .object(let value) = self { value } else { nil } }
}

/// Why a text is not taken as JSON.
public enum JSONError: Error, Hashable, Sendable {
    case malformed
    case tooDeep(maximum: Int)
    case tooLong(maximum: Int)
}

extension JSONError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .malformed: "is not JSON"
        case .tooDeep(let maximum): "is nested deeper than \(maximum)"
        case .tooLong(let maximum):
            "has more than \(maximum) values, of which arrays and objects count \(JSONValue.bracketWeight)"
        }
    }
}

extension JSONValue {
    /// Reads a text in UTF-8 (RFC 8259 section 8.1), which is looked at before it is parsed, so that no nesting can
    /// exhaust the parser's stack.
    /// - Parameters:
    ///   - maximumDepth: most brackets within brackets.
    ///   - maximumValues: most values, arrays and objects counted `bracketWeight` times: what an event loop has time
    ///     for. Half a microsecond each.
    public init(
        parsing text: some Sequence<UInt8>, maximumDepth: Int, maximumValues: Int = .max
    ) throws(JSONError) {
        let shape = Shape(of: text)
        // The decoder would take it for UTF-16 or UTF-32, and find in it what was not counted.
        guard !shape.hasNull else { throw .malformed }
        guard shape.depth <= maximumDepth else { throw .tooDeep(maximum: maximumDepth) }
        guard shape.weight <= maximumValues else { throw .tooLong(maximum: maximumValues) }
        do {
            self = try JSONDecoder().decode(JSONValue.self, from: Data(text))
        } catch {
            throw .malformed
        }
    }

    /// How many values an array or an object counts for: the decoder takes so much longer to find out that it is one.
    static let bracketWeight = 8

    /// What a text asks of a parser, as far as brackets and commas outside strings tell.
    struct Shape {
        /// Brackets within brackets.
        private(set) var depth = 0
        private(set) var weight = 1
        /// Whether a byte is 0: in UTF-8 none is, in UTF-16 and UTF-32 every bracket and comma has one.
        private(set) var hasNull = false

        init(of text: some Sequence<UInt8>) {
            var open = 0
            var isInString = false
            var isEscaped = false
            for byte in text {
                if byte == 0 { hasNull = true }
                if isInString {
                    if isEscaped {
                        isEscaped = false
                    } else if byte == UInt8(ascii: "\\") {
                        isEscaped = true
                    } else if byte == UInt8(ascii: "\"") {
                        isInString = false
                    }
                    continue
                }
                switch byte {
                case UInt8(ascii: "\""): isInString = true
                case UInt8(ascii: ","): weight += 1
                case UInt8(ascii: "["), UInt8(ascii: "{"):
                    open += 1
                    depth = max(depth, open)
                    weight += JSONValue.bracketWeight
                case UInt8(ascii: "]"), UInt8(ascii: "}"): open -= 1
                default: break
                }
            }
        }
    }
}

extension JSONValue: Codable {
    public init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        // Each attempt fails unless the value is of just that kind; the last one's error says what is wrong.
        // A failure takes longer than anything else here, so what is most frequent comes first.
        if value.decodeNil() {
            self = .null
        } else if let string = try? value.decode(String.self) {
            self = .string(string)
        } else if let integer = try? value.decode(Int64.self) {
            self = .integer(integer)
        } else if let number = try? value.decode(Double.self) {
            self = .number(number)
        } else if let boolean = try? value.decode(Bool.self) {
            self = .boolean(boolean)
        } else if let array = try? value.decode([JSONValue].self) {
            self = .array(array)
        } else {
            self = .object(try value.decode([String: JSONValue].self))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .boolean(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(booleanLiteral value: Bool) { self = .boolean(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
}

extension JSONWriter {
    /// Writes any value; the names of an object in order.
    public mutating func value(_ value: JSONValue) {
        switch value {
        case .null: raw("null")
        case .boolean(let boolean): self.boolean(boolean)
        case .integer(let integer): self.integer(integer)
        case .number(let number): raw(Array("\(number)".utf8))
        case .string(let string): self.string(string)
        case .array(let elements):
            raw("[")
            for (index, element) in elements.enumerated() {
                if index > 0 { raw(",") }
                self.value(element)
            }
            raw("]")
        case .object(let members):
            raw("{")
            for (index, name) in members.keys.sorted().enumerated() {
                if index > 0 { raw(",") }
                string(name)
                raw(":")
                self.value(members[name] ?? .null)
            }
            raw("}")
        }
    }
}
