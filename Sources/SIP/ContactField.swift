/// One element of a Contact header.
///
/// Sources: RFC 3261 sections 10.2 and 20.10, RFC 5626 section 4.1 for `+sip.instance` and `reg-id`.
public enum ContactField: Sendable {
    /// `*`: every binding of the account.
    case star
    /// - `expires`: seconds; nil when it has none of its own.
    /// - `q`: preference in thousandths, 0 to 1000.
    /// - `instance`: the device's URN without the brackets around it.
    /// - `regID`: which of the device's flows it is, from 1.
    case address(NameAddress, expires: UInt32?, q: UInt16?, instance: String?, regID: UInt32?)

    public init(parsing text: SIPText) throws(SIPParseError) {
        if text.count == 1, text[0] == Ascii.star {
            self = .star
            return
        }
        let address = try NameAddress(parsing: text)
        let found = address.contact
        let bytes = text.storage
        self = .address(
            address,
            expires: found.expires.isAbsent ? nil : Expires.seconds(bytes, found.expires),
            q: found.q.isAbsent ? nil : try Self.preference(text, found.q),
            instance: found.instance.isAbsent ? nil : Self.instance(SIPText(bytes, found.instance)),
            regID: found.regID.isAbsent ? nil : try Self.regID(text, found.regID))
    }

    /// Whether a registrar keeps a parameter of this name by itself, and writes it into its answers on its own.
    public static func isKeptApart(_ name: SIPText) -> Bool { keptApart.contains { name.matches($0) } }

    private static let keptApart: [StaticString] = [
        "expires", "+sip.instance", "reg-id", "pub-gruu", "temp-gruu", "temp-gruu-cookie",
    ]

    /// `0`, `1`, or either with up to three decimals (`qvalue` of RFC 3261 section 25.1).
    private static func preference(_ text: SIPText, _ part: Part) throws(SIPParseError) -> UInt16 {
        var cursor = Cursor(SIPText(text.storage, part))
        let whole = try cursor.digits("a q from 0 to 1")
        guard let units = text.storage.decimal(whole), units <= 1 else {
            throw cursor.failure("a q from 0 to 1", at: whole)
        }
        var thousandths = UInt16(units) * 1_000
        if cursor.take(Ascii.dot), !cursor.isAtEnd {
            let decimals = try cursor.digits("decimals of a q")
            guard decimals.count <= 3, let value = text.storage.decimal(decimals) else {
                throw cursor.failure("three decimals at most", at: decimals)
            }
            thousandths += UInt16(value) * [100, 10, 1][decimals.count - 1]
        }
        guard cursor.isAtEnd, thousandths <= 1_000 else { throw cursor.failure("a q from 0 to 1", at: part) }
        return thousandths
    }

    private static func instance(_ value: SIPText) -> String {
        let inner = value.unquoted
        guard inner.count >= 2, inner[0] == Ascii.less, inner[inner.count - 1] == Ascii.greater else {
            return inner.string
        }
        return SIPText(inner.storage, Part(inner.part.lower + 1, inner.part.upper - 1)).string
    }

    /// - Throws: unless it is from 1 to 2³¹ - 1 (RFC 5626 section 4.2).
    private static func regID(_ text: SIPText, _ part: Part) throws(SIPParseError) -> UInt32 {
        guard let number = text.storage.decimal(part), (1...0x7FFF_FFFF).contains(number) else {
            throw Cursor(text).failure("a reg-id from 1 to 2147483647", at: part)
        }
        return UInt32(number)
    }
}
