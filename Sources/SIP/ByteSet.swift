/// A set of ASCII characters, one bit each, so that asking costs a shift.
struct ByteSet: Equatable, Sendable {
    /// The characters below 64.
    let low: UInt64
    /// The characters from 64 to 127.
    let high: UInt64

    @inline(__always)
    func contains(_ byte: UInt8) -> Bool {
        let word = byte < 64 ? low : high
        return byte < 128 && (word &>> UInt64(byte & 63)) & 1 == 1
    }
}

/// The bits are written out, so that no access has to ask whether they are computed yet; a test computes them.
extension ByteSet {
    /// Letters and digits.
    static var alphanumeric: ByteSet {
        ByteSet(low: 0x03FF_0000_0000_0000, high: 0x07FF_FFFE_07FF_FFFE)
    }
    /// `token` of RFC 3261 section 25.1: letters, digits and ``-.!%*_+`'~``.
    static var token: ByteSet {
        ByteSet(low: 0x03FF_6CA2_0000_0000, high: 0x47FF_FFFF_87FF_FFFE)
    }
    /// `unreserved` of RFC 3261 section 25.1: letters, digits and `-_.!~*'()`.
    static var unreserved: ByteSet {
        ByteSet(low: 0x03FF_6782_0000_0000, high: 0x47FF_FFFE_87FF_FFFE)
    }
    /// `reserved` of RFC 3261 section 25.1, and the brackets of IPv6 references: `;/?:@&=+$,[]`.
    static var reserved: ByteSet {
        ByteSet(low: 0xAC00_9850_0000_0000, high: 0x0000_0000_2800_0001)
    }
    /// `user` of RFC 3261 section 25.1: unreserved, `&=+$,;?/`, `%` for escapes; and `#` as phones send it (own
    /// decision).
    static var user: ByteSet {
        ByteSet(low: 0xABFF_FFFA_0000_0000, high: 0x47FF_FFFE_87FF_FFFE)
    }
    /// `password` of RFC 3261 section 25.1: unreserved, `&=+$,`, and `%` for escapes.
    static var password: ByteSet {
        ByteSet(low: 0x23FF_7FF2_0000_0000, high: 0x47FF_FFFE_87FF_FFFE)
    }
    /// `paramchar` of RFC 3261 section 25.1: unreserved, `[]/:&+$`, and `%` for escapes.
    static var uriParameter: ByteSet {
        ByteSet(low: 0x07FF_EFF2_0000_0000, high: 0x47FF_FFFE_AFFF_FFFE)
    }
    /// The characters of `hname` and `hvalue` of RFC 3261 section 25.1: unreserved, `[]/?:+$`, and `%` for escapes.
    static var uriHeader: ByteSet {
        ByteSet(low: 0x87FF_EFB2_0000_0000, high: 0x47FF_FFFE_AFFF_FFFE)
    }
    /// Letters, digits, hyphens and dots of names; `_` as networks use it (own decision).
    static var host: ByteSet {
        ByteSet(low: 0x03FF_6000_0000_0000, high: 0x07FF_FFFE_87FF_FFFE)
    }
    /// Within the brackets of an IPv6 reference: hexadecimal digits, `:` and `.`.
    static var ipv6: ByteSet {
        ByteSet(low: 0x07FF_4000_0000_0000, high: 0x0000_007E_0000_007E)
    }
    /// A scheme (RFC 3986 section 3.1): letters, digits and `+-.`.
    static var scheme: ByteSet {
        ByteSet(low: 0x03FF_6800_0000_0000, high: 0x07FF_FFFE_07FF_FFFE)
    }
    /// A telephone number of RFC 3966 section 3: hexadecimal digits, `+*#` and the separators `-.()`.
    static var telephone: ByteSet {
        ByteSet(low: 0x03FF_6F08_0000_0000, high: 0x0000_007E_0000_007E)
    }
    /// What ends a parameter's value: `;,"<>`, white space and control characters.
    static var parameterEnd: ByteSet {
        ByteSet(low: 0x5800_1005_FFFF_FFFF, high: 0x8000_0000_0000_0000)
    }
    /// What may stand in a URI of any scheme (RFC 3986 section 2): unreserved, `;/?:@&=+$,[]#%`.
    static var opaque: ByteSet {
        ByteSet(low: 0xAFFF_FFFA_0000_0000, high: 0x47FF_FFFE_AFFF_FFFF)
    }
}
