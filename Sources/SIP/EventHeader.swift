/// What is subscribed to: `reg;id=7`.
///
/// Source: RFC 6665 section 8.2.1. Packages are compared byte for byte, as tokens of an event are there.
public struct EventHeader: Sendable {
    /// The package with its templates: `reg`, `presence.winfo`.
    public let package: SIPText
    public let parameters: SIPParameters
    /// Tells apart two subscriptions of one dialog.
    public var id: SIPText? { parameters["id"] }

    public init(parsing text: SIPText) throws(SIPParseError) {
        var cursor = Cursor(text)
        cursor.skipBlanks()
        package = SIPText(text.storage, try cursor.token("an event package"))
        parameters = SIPParameters(read: SIPText(text.storage, Part(cursor.position, cursor.end)))
        while try SIPParameters.next(&cursor) != nil {}
    }
}
