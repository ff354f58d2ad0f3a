extension HeaderName {
    /// The field of a name, which is a token.
    @inline(__always)
    init(_ bytes: Span<UInt8>, _ part: Part) {
        let first = Ascii.lowercased(bytes[part.lower])
        let candidate =
            part.count == 1
            ? Self.compact(first) : Self.candidate(part.count, first, Ascii.lowercased(bytes[part.upper - 1]))
        guard part.count > 1, candidate != .other else {
            self = candidate
            return
        }
        self = candidate.isNamed(bytes, part) ? candidate : .other
    }

    /// Whether a token of the name's length is the name, in whatever case.
    ///
    /// The case of a letter is the bit 0x20. That bit apart, a name's letters and hyphens equal no other byte of a
    /// token.
    private func isNamed(_ bytes: Span<UInt8>, _ part: Part) -> Bool {
        name.withUTF8Buffer { name in
            let raw = bytes.bytes
            let expected = name.span.bytes
            var difference: UInt64 = 0
            guard name.count >= 8 else {
                for index in 0..<name.count { difference |= UInt64(name[index] ^ bytes[part.lower + index]) }
                return difference & 0xDF == 0
            }
            // Eight at a time, the last eight perhaps in part for the second time.
            for start in stride(from: 0, to: name.count, by: 8) {
                let index = min(start, name.count - 8)
                difference |=
                    expected.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self)
                    ^ raw.unsafeLoadUnaligned(fromByteOffset: part.lower + index, as: UInt64.self)
            }
            return difference & 0xDFDF_DFDF_DFDF_DFDF == 0
        }
    }

    /// The name that a text is.
    public init(_ text: SIPText) {
        self = text.isEmpty ? .other : HeaderName(text.storage.span, text.part)
    }

    private static func compact(_ letter: UInt8) -> HeaderName {
        switch letter {
        case UInt8(ascii: "v"): .via
        case UInt8(ascii: "f"): .from
        case UInt8(ascii: "t"): .to
        case UInt8(ascii: "i"): .callID
        case UInt8(ascii: "m"): .contact
        case UInt8(ascii: "l"): .contentLength
        case UInt8(ascii: "c"): .contentType
        case UInt8(ascii: "e"): .contentEncoding
        case UInt8(ascii: "s"): .subject
        case UInt8(ascii: "k"): .supported
        case UInt8(ascii: "u"): .allowEvents
        case UInt8(ascii: "o"): .event
        case UInt8(ascii: "r"): .referTo
        case UInt8(ascii: "b"): .referredBy
        case UInt8(ascii: "x"): .sessionExpires
        case UInt8(ascii: "a"): .acceptContact
        case UInt8(ascii: "j"): .rejectContact
        case UInt8(ascii: "d"): .requestDisposition
        default: .other
        }
    }

    /// The only name of this length with these ends, which the caller compares in full.
    private static func candidate(_ length: Int, _ first: UInt8, _ last: UInt8) -> HeaderName {
        switch (length, first, last) {
        case (2, UInt8(ascii: "t"), UInt8(ascii: "o")): .to
        case (3, UInt8(ascii: "v"), UInt8(ascii: "a")): .via
        case (4, UInt8(ascii: "c"), UInt8(ascii: "q")): .cseq
        case (4, UInt8(ascii: "d"), UInt8(ascii: "e")): .date
        case (4, UInt8(ascii: "f"), UInt8(ascii: "m")): .from
        case (4, UInt8(ascii: "p"), UInt8(ascii: "h")): .path
        case (5, UInt8(ascii: "a"), UInt8(ascii: "w")): .allow
        case (5, UInt8(ascii: "e"), UInt8(ascii: "t")): .event
        case (5, UInt8(ascii: "r"), UInt8(ascii: "e")): .route
        case (6, UInt8(ascii: "a"), UInt8(ascii: "t")): .accept
        case (6, UInt8(ascii: "m"), UInt8(ascii: "e")): .minSE
        case (6, UInt8(ascii: "r"), UInt8(ascii: "n")): .reason
        case (6, UInt8(ascii: "s"), UInt8(ascii: "r")): .server
        case (7, UInt8(ascii: "c"), UInt8(ascii: "d")): .callID
        case (7, UInt8(ascii: "c"), UInt8(ascii: "t")): .contact
        case (7, UInt8(ascii: "e"), UInt8(ascii: "s")): .expires
        case (7, UInt8(ascii: "p"), UInt8(ascii: "y")): .privacy
        case (7, UInt8(ascii: "r"), UInt8(ascii: "e")): .require
        case (7, UInt8(ascii: "s"), UInt8(ascii: "t")): .subject
        case (7, UInt8(ascii: "w"), UInt8(ascii: "g")): .warning
        case (8, UInt8(ascii: "p"), UInt8(ascii: "y")): .priority
        case (8, UInt8(ascii: "r"), UInt8(ascii: "o")): .referTo
        case (8, UInt8(ascii: "r"), UInt8(ascii: "s")): .replaces
        case (8, UInt8(ascii: "s"), UInt8(ascii: "g")): .sipETag
        case (9, UInt8(ascii: "s"), UInt8(ascii: "d")): .supported
        case (9, UInt8(ascii: "t"), UInt8(ascii: "p")): .timestamp
        case (10, UInt8(ascii: "f"), UInt8(ascii: "r")): .flowTimer
        case (10, UInt8(ascii: "u"), UInt8(ascii: "t")): .userAgent
        case (11, UInt8(ascii: "m"), UInt8(ascii: "s")): .minExpires
        case (11, UInt8(ascii: "r"), UInt8(ascii: "r")): .retryAfter
        case (11, UInt8(ascii: "r"), UInt8(ascii: "y")): .referredBy
        case (11, UInt8(ascii: "u"), UInt8(ascii: "d")): .unsupported
        case (12, UInt8(ascii: "a"), UInt8(ascii: "s")): .allowEvents
        case (12, UInt8(ascii: "c"), UInt8(ascii: "e")): .contentType
        case (12, UInt8(ascii: "m"), UInt8(ascii: "n")): .mimeVersion
        case (12, UInt8(ascii: "m"), UInt8(ascii: "s")): .maxForwards
        case (12, UInt8(ascii: "o"), UInt8(ascii: "n")): .organization
        case (12, UInt8(ascii: "r"), UInt8(ascii: "e")): .recordRoute
        case (12, UInt8(ascii: "s"), UInt8(ascii: "h")): .sipIfMatch
        case (13, UInt8(ascii: "a"), UInt8(ascii: "n")): .authorization
        case (13, UInt8(ascii: "p"), UInt8(ascii: "e")): .proxyRequire
        case (13, UInt8(ascii: "s"), UInt8(ascii: "e")): .serviceRoute
        case (14, UInt8(ascii: "a"), UInt8(ascii: "t")): .acceptContact
        case (14, UInt8(ascii: "c"), UInt8(ascii: "h")): .contentLength
        case (14, UInt8(ascii: "r"), UInt8(ascii: "t")): .rejectContact
        case (15, UInt8(ascii: "a"), UInt8(ascii: "e")): .acceptLanguage
        case (15, UInt8(ascii: "a"), UInt8(ascii: "g")): .acceptEncoding
        case (15, UInt8(ascii: "s"), UInt8(ascii: "s")): .sessionExpires
        case (16, UInt8(ascii: "c"), UInt8(ascii: "e")): .contentLanguage
        case (16, UInt8(ascii: "c"), UInt8(ascii: "g")): .contentEncoding
        case (16, UInt8(ascii: "w"), UInt8(ascii: "e")): .wwwAuthenticate
        case (18, UInt8(ascii: "p"), UInt8(ascii: "e")): .proxyAuthenticate
        case (18, UInt8(ascii: "s"), UInt8(ascii: "e")): .subscriptionState
        case (19, UInt8(ascii: "a"), UInt8(ascii: "o")): .authenticationInfo
        case (19, UInt8(ascii: "c"), UInt8(ascii: "n")): .contentDisposition
        case (19, UInt8(ascii: "p"), UInt8(ascii: "n")): .proxyAuthorization
        case (19, UInt8(ascii: "p"), UInt8(ascii: "y")): .pAssertedIdentity
        case (19, UInt8(ascii: "r"), UInt8(ascii: "n")): .requestDisposition
        default: .other
        }
    }
}
