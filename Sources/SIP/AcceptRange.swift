/// One element of an Accept header, or the value of Content-Type: `application/reginfo+xml;q=0.7`, `text/*`.
///
/// Source: `accept-range` and `media-type` of RFC 3261 section 25.1.
public struct AcceptRange: Sendable {
    public let type: SIPText
    public let subtype: SIPText
    public let parameters: SIPParameters

    public init(parsing text: SIPText) throws(SIPParseError) {
        var cursor = Cursor(text)
        cursor.skipBlanks()
        type = SIPText(text.storage, try cursor.token("a media type"))
        guard cursor.takeSeparator(Ascii.slash) else { throw cursor.failure("a slash after the media type") }
        subtype = SIPText(text.storage, try cursor.token("a media subtype"))
        parameters = SIPParameters(read: SIPText(text.storage, Part(cursor.position, cursor.end)))
        while try SIPParameters.next(&cursor) != nil {}
    }

    /// Whether this type is within the range, wildcards considered.
    public func includes(_ type: StaticString, _ subtype: StaticString) -> Bool {
        (self.type.isExactly("*") || self.type.matches(type))
            && (self.subtype.isExactly("*") || self.subtype.matches(subtype))
    }
}

extension SIPMessage {
    /// The elements of all Accept headers; nil when there is no such header, which RFC 3261 section 20.1 takes as
    /// `application/sdp` and an event package as its own type.
    public func accept() throws(SIPParseError) -> [AcceptRange]? {
        guard has(.accept) else { return nil }
        var ranges: [AcceptRange] = []
        for element in all(.accept) { ranges.append(try AcceptRange(parsing: element)) }
        return ranges
    }
}
