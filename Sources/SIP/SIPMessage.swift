/// A SIP message as it came: the bytes once, and where in them everything stands.
///
/// Reading one finds the start line, the header fields and the body, and refuses what is no SIP message at all. The
/// fields' values are read when asked for, by `Via(parsing:)` and the like, so that nobody pays for fields that are
/// not needed. Source: RFC 3261 sections 7 and 25.
public struct SIPMessage: Sendable {
    /// Where the parts of the start line stand.
    public enum StartLine: Equatable, Sendable {
        case request(SIPMethod, uri: Range<Int>)
        case response(status: Int, reason: Range<Int>)
    }

    /// The message as it came, but for the ends of continued lines, which are spaces: RFC 3261 section 7.3.1 has them
    /// mean the same, and so nothing else needs to know of continuation lines. May go on behind the body.
    public let bytes: [UInt8]
    public let start: StartLine
    let fields: [HeaderField]
    /// Where the body stands.
    public let bodyRange: Range<Int>

    init(bytes: [UInt8], start: StartLine, fields: [HeaderField], bodyRange: Range<Int>) {
        self.bytes = bytes
        self.start = start
        self.fields = fields
        self.bodyRange = bodyRange
    }

    public var body: SIPText { text(bodyRange) }

    /// The method of a request.
    public var method: SIPMethod? {
        if case .request(let method, _) = start { method } else { nil }
    }

    /// The Request-URI of a request.
    public var requestURI: SIPText? {
        if case .request(_, let uri) = start { text(uri) } else { nil }
    }

    /// The status of a response.
    public var status: Int? {
        if case .response(let status, _) = start { status } else { nil }
    }

    /// How many header fields there are.
    public var headerCount: Int { fields.count }

    /// Whether there is a field of this name.
    public func has(_ header: HeaderName) -> Bool { fields.contains { $0.header == header } }

    /// How many fields, not elements, of this name there are.
    public func occurrences(of header: HeaderName) -> Int {
        var count = 0
        for field in fields where field.header == header { count += 1 }
        return count
    }

    /// The value of the first field of this name; of a list its first element.
    public func first(_ header: HeaderName) -> SIPText? {
        for field in fields where field.header == header {
            guard header.isList else { return SIPText(bytes, field.value) }
            var list = ListSplitter(bytes, field.value)
            return list.next().map { SIPText(bytes, $0) }
        }
        return nil
    }

    /// The values of all fields of this name in their order; of lists all elements.
    ///
    /// A list without elements (`Supported:`) gives none. An element that is missing between commas is given as an
    /// empty text, which no reader of elements takes.
    public func all(_ header: HeaderName) -> [SIPText] {
        var values: [SIPText] = []
        forEach(header) { values.append($0) }
        return values
    }

    /// The same one by one, up to the first for which `body` throws.
    public func forEach<Failure>(_ header: HeaderName, _ body: (SIPText) throws(Failure) -> Void) throws(Failure) {
        for field in fields where field.header == header {
            if header.isList {
                var list = ListSplitter(bytes, field.value)
                while let element = list.next() { try body(SIPText(bytes, element)) }
            } else {
                try body(SIPText(bytes, field.value))
            }
        }
    }

    /// The value of the first field of a name that is not known, such as `X-Real-IP`.
    public func first(named name: StaticString) -> SIPText? {
        for field in fields where bytes.matches(field.name, name) { return SIPText(bytes, field.value) }
        return nil
    }

    /// Every field's name and whole value, in their order.
    public var headers: [(name: SIPText, value: SIPText)] {
        fields.map { (SIPText(bytes, $0.name), SIPText(bytes, $0.value)) }
    }

    private func text(_ range: Range<Int>) -> SIPText { SIPText(bytes, Part(range.lowerBound, range.upperBound)) }
}
