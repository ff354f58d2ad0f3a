/// How many more proxies a request may cross: 0 to 255 (RFC 3261 section 20.22).
public struct MaxForwards: Hashable, Sendable {
    public let hops: UInt8

    public init(parsing text: SIPText) throws(SIPParseError) {
        guard let number = text.number, let hops = UInt8(exactly: number) else {
            throw Cursor(text).failure("a Max-Forwards from 0 to 255", at: text.part)
        }
        self.hops = hops
    }
}
