extension SIPURI {
    /// A text that two URIs share when they are the same contact, to look bindings up by.
    ///
    /// By RFC 3261 section 19.1.4: schemes, hosts, parameters and the names of headers without regard to case, users
    /// and passwords with; escapes of what need not be escaped resolved; parameters and headers in any order; an IPv6
    /// address in any spelling. A port or a `transport` that is written out differs from one that is left out.
    ///
    /// The RFC's equality is not transitive: a parameter that only one of two URIs has does not count, unless it is
    /// `user`, `ttl`, `method`, `maddr` or `transport`, so `sip:a@h;x=1` and `sip:a@h;x=2` both equal `sip:a@h` but not
    /// each other. No key can do that. Decided: every parameter counts. Phones repeat their contact as it is, some
    /// tell their lines apart by such a parameter (`line=`), and two bindings where one would do expire by
    /// themselves, while one where two are needed loses calls. `isEquivalent(to:)` follows the RFC to the letter.
    public var canonical: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count + 16)
        appendCore(to: &bytes)
        appendPairs(parametersPart, after: Ascii.semicolon, separator: Ascii.semicolon, to: &bytes)
        appendHeaders(to: &bytes)
        return bytes
    }

    /// Whether two URIs are equal by RFC 3261 section 19.1.4.
    public func isEquivalent(to other: SIPURI) -> Bool {
        guard core == other.core else { return false }
        var left = parametersByName[...]
        var right = other.parametersByName[...]
        // Both are in the order of their names: the lesser of the first two is in one of the URIs only.
        while let one = left.first, let two = right.first {
            if one.name == two.name {
                guard one.value == two.value else { return false }
                left.removeFirst()
                right.removeFirst()
            } else if one.name.lexicographicallyPrecedes(two.name) {
                guard !Self.mustBeInBoth(left.removeFirst().name) else { return false }
            } else {
                guard !Self.mustBeInBoth(right.removeFirst().name) else { return false }
            }
        }
        return !(left + right).contains { Self.mustBeInBoth($0.name) }
    }

    private static func mustBeInBoth(_ name: [UInt8]) -> Bool {
        let text = SIPText(name)
        return text.matches("user") || text.matches("ttl") || text.matches("method") || text.matches("maddr")
            || text.matches("transport")
    }

    /// All but the parameters.
    private var core: [UInt8] {
        var bytes: [UInt8] = []
        appendCore(to: &bytes)
        appendHeaders(to: &bytes)
        return bytes
    }

    private func appendCore(to bytes: inout [UInt8]) {
        bytes.append(contentsOf: scheme.name.utf8)
        bytes.append(Ascii.colon)
        switch parts.kind {
        case .sip, .sips: appendAddress(to: &bytes)
        case .tel:
            // Visual separators mean nothing (RFC 3966 section 4).
            for index in userPart.range where !Self.isSeparator(text.storage[index]) {
                bytes.append(Ascii.lowercased(text.storage[index]))
            }
        case .other: bytes.append(contentsOf: text.bytes.dropFirst(scheme.name.utf8.count + 1))
        }
    }

    /// A visual separator of RFC 3966 section 3.
    private static func isSeparator(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "("), UInt8(ascii: ")"): true
        default: false
        }
    }

    private func appendAddress(to bytes: inout [UInt8]) {
        if !userPart.isAbsent {
            text.storage.appendNormalised(userPart, ignoringCase: false, to: &bytes)
            if !passwordPart.isAbsent {
                bytes.append(Ascii.colon)
                text.storage.appendNormalised(passwordPart, ignoringCase: false, to: &bytes)
            }
            bytes.append(Ascii.at)
        }
        if hostIsIPv6, let address = IPv6Address(text.storage, Part(hostPart.lower + 1, hostPart.upper - 1)) {
            bytes.append(Ascii.leftBracket)
            address.write(to: &bytes)
            bytes.append(Ascii.rightBracket)
        } else {
            for index in hostPart.range { bytes.append(Ascii.lowercased(text.storage[index])) }
        }
        if let port {
            bytes.append(Ascii.colon)
            bytes.append(contentsOf: String(port).utf8)
        }
    }

    private func appendHeaders(to bytes: inout [UInt8]) {
        appendPairs(headersPart, after: Ascii.question, separator: Ascii.ampersand, to: &bytes)
    }

    /// Each `name=value` normalised, in the order of their bytes.
    private func appendPairs(_ part: Part, after lead: UInt8, separator: UInt8, to bytes: inout [UInt8]) {
        guard !part.isAbsent else { return }
        var pairs = SIPURIPairs(text.storage, part, separator: separator)
        guard let first = pairs.next() else { return }
        bytes.append(lead)
        // Most have one, which needs no sorting.
        guard let second = pairs.next() else { return text.storage.appendNormalised(first, to: &bytes) }
        var all = [[UInt8](), []]
        text.storage.appendNormalised(first, to: &all[0])
        text.storage.appendNormalised(second, to: &all[1])
        while let pair = pairs.next() {
            all.append([])
            text.storage.appendNormalised(pair, to: &all[all.count - 1])
        }
        all.sort { $0.lexicographicallyPrecedes($1) }
        bytes.append(contentsOf: all.joined(separator: [separator]))
    }

    /// The parameters in the order of their names. Of two of one name, which RFC 3261 section 19.1.1 forbids, the first
    /// counts.
    private var parametersByName: [(name: [UInt8], value: [UInt8])] {
        var pairs = SIPURIPairs(text.storage, parametersPart, separator: Ascii.semicolon)
        var all: [(name: [UInt8], value: [UInt8], index: Int)] = []
        while let pair = pairs.next() {
            var (name, value): ([UInt8], [UInt8]) = ([], [])
            text.storage.appendNormalised(pair.name, ignoringCase: true, to: &name)
            text.storage.appendNormalised(pair.value, ignoringCase: true, to: &value)
            all.append((name, value, all.count))
        }
        all.sort { $0.name == $1.name ? $0.index < $1.index : $0.name.lexicographicallyPrecedes($1.name) }
        var unique: [(name: [UInt8], value: [UInt8])] = []
        for pair in all where unique.last?.name != pair.name { unique.append((pair.name, pair.value)) }
        return unique
    }
}

extension [UInt8] {
    /// Appends `name=value`, or the name alone.
    fileprivate func appendNormalised(_ pair: SIPURIPairs.Pair, to bytes: inout [UInt8]) {
        appendNormalised(pair.name, ignoringCase: true, to: &bytes)
        guard !pair.value.isAbsent else { return }
        bytes.append(Ascii.equals)
        appendNormalised(pair.value, ignoringCase: true, to: &bytes)
    }

    /// Appends the part so that two spellings of the same come out the same: escapes of unreserved characters resolved,
    /// those of others in upper case, and what should have been escaped escaped.
    fileprivate func appendNormalised(_ part: Part, ignoringCase: Bool, to bytes: inout [UInt8]) {
        let unreserved = ByteSet.unreserved
        let reserved = ByteSet.reserved
        var index = part.range.lowerBound
        while index < part.range.upperBound {
            let escaped = escaped(at: index, before: part.upper)
            let byte = escaped ?? self[index]
            index += escaped == nil ? 1 : 3
            if unreserved.contains(byte) || escaped == nil && reserved.contains(byte) {
                bytes.append(ignoringCase ? Ascii.lowercased(byte) : byte)
            } else {
                bytes.append(Ascii.percent)
                bytes.append(Self.digits[Int(byte >> 4)])
                bytes.append(Self.digits[Int(byte & 15)])
            }
        }
    }

    private static let digits = [UInt8]("0123456789ABCDEF".utf8)
}
