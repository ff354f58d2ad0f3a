/// The number of a request within its Call-ID, and its method once more.
///
/// Source: RFC 3261 section 20.16: the number is one of 32 bits without a sign.
public struct CSeq: Hashable, Sendable {
    public let number: UInt32
    public let method: SIPMethod

    public init(number: UInt32, method: SIPMethod) {
        self.number = number
        self.method = method
    }

    public init(parsing text: SIPText) throws(SIPParseError) {
        var cursor = Cursor(text)
        cursor.skipBlanks()
        let digits = try cursor.digits("a CSeq number")
        guard let value = text.storage.decimal(digits), let number = UInt32(exactly: value) else {
            throw cursor.failure("a CSeq number below 2^32", at: digits)
        }
        guard let blank = cursor.next, Ascii.isBlank(blank) else { throw cursor.failure("a space after the number") }
        cursor.skipBlanks()
        let method = try cursor.token("a method after the number")
        try cursor.finish("the CSeq")
        self.init(number: number, method: SIPMethod(SIPText(text.storage, method)))
    }
}
