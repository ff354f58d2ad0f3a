/// A set of ASCII characters, one bit each.
struct ByteSet: Sendable {
    private let low: UInt64
    private let high: UInt64

    init(_ characters: StaticString) {
        var low: UInt64 = 0
        var high: UInt64 = 0
        characters.withUTF8Buffer { bytes in
            for byte in bytes {
                precondition(byte < 128, "a set holds ASCII only")
                if byte < 64 { low |= 1 << UInt64(byte) } else { high |= 1 << UInt64(byte & 63) }
            }
        }
        self.low = low
        self.high = high
    }

    private init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }

    func union(_ other: ByteSet) -> ByteSet { ByteSet(low: low | other.low, high: high | other.high) }

    @inline(__always)
    func contains(_ byte: UInt8) -> Bool {
        let word = byte < 64 ? low : high
        return byte < 128 && (word &>> UInt64(byte & 63)) & 1 == 1
    }
}

extension ByteSet {
    static let alphanumeric = ByteSet("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    /// `token` of RFC 3261 section 25.1.
    static let token = alphanumeric.union(ByteSet("-.!%*_+`'~"))
    /// `unreserved` of RFC 3261 section 25.1.
    static let unreserved = alphanumeric.union(ByteSet("-_.!~*'()"))
    /// `user` of RFC 3261 section 25.1, `%` for escapes; `#` as phones send it in dialled numbers (own decision).
    static let user = unreserved.union(ByteSet("&=+$,;?/%#"))
    /// `password` of RFC 3261 section 25.1, `%` for escapes.
    static let password = unreserved.union(ByteSet("&=+$,%"))
    /// `paramchar` of RFC 3261 section 25.1, `%` for escapes.
    static let uriParameter = unreserved.union(ByteSet("[]/:&+$%"))
    /// The characters of `hname` and `hvalue` of RFC 3261 section 25.1, `%` for escapes.
    static let uriHeader = unreserved.union(ByteSet("[]/?:+$%"))
    /// Letters, digits, hyphens and dots of names; `_` as networks use it (own decision).
    static let host = alphanumeric.union(ByteSet("-._"))
    /// Within the brackets of an IPv6 reference.
    static let ipv6 = ByteSet("0123456789abcdefABCDEF:.")
    /// After the first letter of a scheme.
    static let scheme = alphanumeric.union(ByteSet("+-."))
}

/// The characters that the grammar names.
enum Ascii {
    static let tab = UInt8(ascii: "\t")
    static let lineFeed = UInt8(ascii: "\n")
    static let carriageReturn = UInt8(ascii: "\r")
    static let space = UInt8(ascii: " ")
    static let quote = UInt8(ascii: "\"")
    static let backslash = UInt8(ascii: "\\")
    static let percent = UInt8(ascii: "%")
    static let comma = UInt8(ascii: ",")
    static let slash = UInt8(ascii: "/")
    static let colon = UInt8(ascii: ":")
    static let semicolon = UInt8(ascii: ";")
    static let less = UInt8(ascii: "<")
    static let equals = UInt8(ascii: "=")
    static let greater = UInt8(ascii: ">")
    static let question = UInt8(ascii: "?")
    static let at = UInt8(ascii: "@")
    static let ampersand = UInt8(ascii: "&")
    static let star = UInt8(ascii: "*")
    static let dot = UInt8(ascii: ".")
    static let leftBracket = UInt8(ascii: "[")
    static let rightBracket = UInt8(ascii: "]")

    @inline(__always)
    static func isBlank(_ byte: UInt8) -> Bool { byte == space || byte == tab }

    @inline(__always)
    static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

    /// ASCII letters in lower case, every other byte as it is.
    @inline(__always)
    static func lowercased(_ byte: UInt8) -> UInt8 { byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte }

    /// The value of a hexadecimal digit.
    @inline(__always)
    static func hexadecimal(_ byte: UInt8) -> UInt8? {
        if isDigit(byte) { return byte - UInt8(ascii: "0") }
        let letter = lowercased(byte) &- UInt8(ascii: "a")
        return letter < 6 ? letter + 10 : nil
    }
}
