/// The parameters behind a header's value: `;name`, `;name=value` or `;name="value"`, names case-insensitive.
///
/// Source: `generic-param` of RFC 3261 section 25.1. Values may hold more than the grammar's tokens and hosts, as
/// phones send it: everything but separators, white space and brackets.
public struct SIPParameters: Sendable {
    /// Where one parameter's parts stand; a flag has no value.
    struct Parameter {
        let name: Part
        let value: Part
    }

    private let text: SIPText

    /// - Parameter text: from the first semicolon on, or empty; read by `next` already.
    init(read text: SIPText) { self.text = text }

    /// The value of the first parameter of this name, quotes removed; empty for a flag; nil when there is none.
    public subscript(_ name: StaticString) -> SIPText? {
        var cursor = Cursor(text)
        while let parameter = Self.following(&cursor) {
            guard cursor.storage.matches(parameter.name, name) else { continue }
            return SIPText(text.storage, parameter.value.isAbsent ? Part(0, 0) : parameter.value).unquoted
        }
        return nil
    }

    public func contains(_ name: StaticString) -> Bool { self[name] != nil }

    /// All of them in their order; the value is nil for a flag.
    public var all: [(name: SIPText, value: SIPText?)] {
        var all: [(name: SIPText, value: SIPText?)] = []
        forEach { all.append((name: $0, value: $1)) }
        return all
    }

    /// The same one by one.
    public func forEach(_ body: (_ name: SIPText, _ value: SIPText?) -> Void) {
        var cursor = Cursor(text)
        while let parameter = Self.following(&cursor) {
            let value = parameter.value.isAbsent ? nil : SIPText(text.storage, parameter.value).unquoted
            body(SIPText(text.storage, parameter.name), value)
        }
    }

    /// As they were written, with the semicolon before the first.
    public var source: SIPText { text }

    private static func following(_ cursor: inout Cursor) -> Parameter? {
        // They were read before, without an error.
        try? next(&cursor)
    }

    /// Reads the next parameter; nil at the end of the text.
    @inline(__always)
    static func next(_ cursor: inout Cursor) throws(SIPParseError) -> Parameter? {
        cursor.skipBlanks()
        guard !cursor.isAtEnd else { return nil }
        try cursor.expect(Ascii.semicolon, "a semicolon")
        cursor.skipBlanks()
        let name = try cursor.token("a parameter's name")
        guard cursor.takeSeparator(Ascii.equals) else { return Parameter(name: name, value: .absent) }
        return Parameter(name: name, value: try value(&cursor))
    }

    private static func value(_ cursor: inout Cursor) throws(SIPParseError) -> Part {
        if cursor.next == Ascii.quote { return try cursor.quoted() }
        let value = cursor.run(outside: .parameterEnd)
        guard value.count > 0 else { throw cursor.failure("a parameter's value") }
        return value
    }
}
