/// The extensions that a Require, Proxy-Require, Supported or Unsupported header names.
///
/// Source: `option-tag` of RFC 3261 sections 19.2 and 25.1; tags are tokens and case-insensitive (section 7.3.1).
public struct OptionTags: Sendable {
    public let tags: [SIPText]

    /// - Parameter header: a header of option tags.
    /// - Throws: when an element is no token.
    public init(_ message: SIPMessage, _ header: HeaderName) throws(SIPParseError) {
        var tags: [SIPText] = []
        if message.has(header) { tags = message.all(header) }
        for tag in tags {
            var cursor = Cursor(tag)
            _ = try cursor.token("an option tag")
            try cursor.finish("the option tag")
        }
        self.tags = tags
    }

    public var isEmpty: Bool { tags.isEmpty }

    public func contains(_ tag: StaticString) -> Bool { tags.contains { $0.matches(tag) } }

    /// The tags that are none of these: what the Unsupported header of a 420 lists.
    public func others(than known: [StaticString]) -> [SIPText] {
        tags.filter { tag in !known.contains { tag.matches($0) } }
    }
}
