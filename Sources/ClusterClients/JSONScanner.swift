/// Walks once over the bytes of a JSON text (RFC 8259) and picks out what is asked for, without building a tree.
///
/// A drill checks each of a few hundred thousand events in a second or two, on the machine that it measures: decoding
/// them into dictionaries would be most of what it measures.
package struct JSONScanner {
    package struct Malformed: Error, Hashable {
        /// Offset of the byte that does not fit.
        package let offset: Int
    }

    private let bytes: UnsafeRawBufferPointer
    package private(set) var offset = 0

    /// Deepest nesting that is followed.
    private static let maximumDepth = 32

    package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// Visits the members of the object that comes next; `visit` must take or skip the value.
    package mutating func members(
        _ visit: (UnsafeRawBufferPointer, inout JSONScanner) throws(Malformed) -> Void
    ) throws(Malformed) {
        try expect(UInt8(ascii: "{"))
        if take(UInt8(ascii: "}")) { return }
        repeat {
            let key = try rawString()
            try expect(UInt8(ascii: ":"))
            try visit(key, &self)
        } while take(UInt8(ascii: ","))
        try expect(UInt8(ascii: "}"))
    }

    /// Visits the elements of the array that comes next; `visit` must take or skip the value.
    package mutating func elements(
        _ visit: (Int, inout JSONScanner) throws(Malformed) -> Void
    ) throws(Malformed) {
        try expect(UInt8(ascii: "["))
        if take(UInt8(ascii: "]")) { return }
        var index = 0
        repeat {
            try visit(index, &self)
            index += 1
        } while take(UInt8(ascii: ","))
        try expect(UInt8(ascii: "]"))
    }

    /// A string's bytes as they stand between the quotes, with escapes as written.
    package mutating func rawString() throws(Malformed) -> UnsafeRawBufferPointer {
        try expect(UInt8(ascii: "\""))
        let start = offset
        while offset < bytes.count {
            switch bytes[offset] {
            case UInt8(ascii: "\""):
                offset += 1
                return UnsafeRawBufferPointer(rebasing: bytes[start..<(offset - 1)])
            case UInt8(ascii: "\\"): offset += 2
            case 0..<0x20: throw Malformed(offset: offset)
            default: offset += 1
            }
        }
        throw Malformed(offset: offset)
    }

    package mutating func unsigned() throws(Malformed) -> UInt64 {
        skipSpace()
        let start = offset
        var value: UInt64 = 0
        while offset < bytes.count, case let digit = bytes[offset] &- UInt8(ascii: "0"), digit < 10 {
            let (shifted, over) = value.multipliedReportingOverflow(by: 10)
            let (sum, carried) = shifted.addingReportingOverflow(UInt64(digit))
            guard !over, !carried else { throw Malformed(offset: offset) }
            value = sum
            offset += 1
        }
        guard offset > start else { throw Malformed(offset: offset) }
        return value
    }

    package mutating func boolean() throws(Malformed) -> Bool {
        skipSpace()
        if word("true") { return true }
        if word("false") { return false }
        throw Malformed(offset: offset)
    }

    package mutating func skipValue(depth: Int = 0) throws(Malformed) {
        skipSpace()
        guard offset < bytes.count, depth < Self.maximumDepth else { throw Malformed(offset: offset) }
        switch bytes[offset] {
        case UInt8(ascii: "{"):
            try members { (_, scanner) throws(Malformed) in try scanner.skipValue(depth: depth + 1) }
        case UInt8(ascii: "["):
            try elements { (_, scanner) throws(Malformed) in try scanner.skipValue(depth: depth + 1) }
        case UInt8(ascii: "\""): _ = try rawString()
        case UInt8(ascii: "t"), UInt8(ascii: "f"): _ = try boolean()
        case UInt8(ascii: "n"): guard word("null") else { throw Malformed(offset: offset) }
        default: try skipNumber()
        }
    }

    /// The bytes of the value that comes next, which is skipped.
    package mutating func rawValue() throws(Malformed) -> UnsafeRawBufferPointer {
        skipSpace()
        let start = offset
        try skipValue()
        return UnsafeRawBufferPointer(rebasing: bytes[start..<offset])
    }

    private mutating func skipNumber() throws(Malformed) {
        let start = offset
        while offset < bytes.count {
            switch bytes[offset] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."),
                UInt8(ascii: "e"), UInt8(ascii: "E"):
                offset += 1
            default:
                guard offset > start else { throw Malformed(offset: offset) }
                return
            }
        }
    }

    private mutating func word(_ text: StaticString) -> Bool {
        guard offset + text.utf8CodeUnitCount <= bytes.count else { return false }
        for index in 0..<text.utf8CodeUnitCount where bytes[offset + index] != text.utf8Start[index] { return false }
        offset += text.utf8CodeUnitCount
        return true
    }

    private mutating func expect(_ byte: UInt8) throws(Malformed) {
        guard take(byte) else { throw Malformed(offset: offset) }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        skipSpace()
        guard offset < bytes.count, bytes[offset] == byte else { return false }
        offset += 1
        return true
    }

    private mutating func skipSpace() {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x09, 0x0a, 0x0d: offset += 1
            default: return
            }
        }
    }
}

extension UnsafeRawBufferPointer {
    /// Whether these are exactly the bytes of a word without escapes.
    package func equals(_ word: StaticString) -> Bool {
        guard count == word.utf8CodeUnitCount else { return false }
        for index in 0..<count where self[index] != word.utf8Start[index] { return false }
        return true
    }
}
