/// Finds the lines of a message's head and what each is.
///
/// Every byte is looked at once or twice: eight at a time for the end of the line, and names byte by byte.
struct HeadScanner {
    private let limits: SIPLimits
    private(set) var fields: [HeaderField] = []
    /// Where continued lines end, to be made spaces.
    private(set) var folds: [Int] = []
    private(set) var position: Int

    init(limits: SIPLimits, position: Int = 0) {
        self.limits = limits
        self.position = position
    }

    /// Passes over empty lines before a message (RFC 3261 section 7.5).
    mutating func skipEmptyLines(_ bytes: Span<UInt8>) {
        while position + 1 < bytes.count, bytes[position] == Ascii.carriageReturn,
            bytes[position + 1] == Ascii.lineFeed
        {
            position += 2
        }
    }

    /// The start line without its end; goes on behind it.
    mutating func startLine(_ bytes: Span<UInt8>) throws(SIPParseError) -> Part {
        let start = position
        let end = try lineEnd(bytes, from: start, lineStart: start)
        position = end + 2
        return Part(start, end)
    }

    /// All fields up to the empty line; goes on behind that.
    mutating func allFields(_ bytes: Span<UInt8>) throws(SIPParseError) {
        fields.reserveCapacity(16)
        while try !takeEmptyLine(bytes) {
            guard fields.count < limits.headers else {
                throw SIPParseError(
                    expected: "\(limits.headers) header fields at most", found: .count(fields.count + 1),
                    offset: position, status: 513)
            }
            fields.append(try field(bytes))
        }
    }

    /// All fields that can be read, the others left out, up to the empty line or the end.
    mutating func readableFields(_ bytes: Span<UInt8>) {
        while position < bytes.count, fields.count < limits.headers {
            let start = position
            do {
                if try takeEmptyLine(bytes) { return }
                fields.append(try field(bytes))
            } catch {
                position = max(start, position)
                while position < bytes.count, bytes[position] != Ascii.lineFeed { position += 1 }
                position += 1
            }
        }
        position = min(position, bytes.count)
    }

    private mutating func takeEmptyLine(_ bytes: Span<UInt8>) throws(SIPParseError) -> Bool {
        guard position < bytes.count else {
            throw SIPParseError(expected: "an empty line after the header fields", found: .end, offset: position)
        }
        guard bytes[position] == Ascii.carriageReturn else { return false }
        guard position + 1 < bytes.count, bytes[position + 1] == Ascii.lineFeed else {
            throw Self.unexpected(bytes, position + 1, "a line feed")
        }
        position += 2
        return true
    }

    /// `name: value` with its continuation lines.
    private mutating func field(_ bytes: Span<UInt8>) throws(SIPParseError) -> HeaderField {
        let start = position
        let name = try fieldName(bytes)
        var index = name.upper
        while index < bytes.count, Ascii.isBlank(bytes[index]) { index += 1 }
        guard index < bytes.count, bytes[index] == Ascii.colon else {
            throw Self.unexpected(bytes, index, "a colon after a header field's name")
        }
        var lower = index + 1
        var end = try lineEnd(bytes, from: lower, lineStart: start)
        while end + 2 < bytes.count, Ascii.isBlank(bytes[end + 2]) {
            folds.append(end)
            end = try lineEnd(bytes, from: end + 2, lineStart: start)
        }
        position = end + 2
        while lower < end, Self.isSpace(bytes[lower]) { lower += 1 }
        var upper = end
        while upper > lower, Self.isSpace(bytes[upper - 1]) { upper -= 1 }
        return HeaderField(header: HeaderName(bytes, name), name: name, value: Part(lower, upper))
    }

    private func fieldName(_ bytes: Span<UInt8>) throws(SIPParseError) -> Part {
        let set = ByteSet.token
        var index = position
        while index < bytes.count, set.contains(bytes[index]) { index += 1 }
        guard index > position else { throw Self.unexpected(bytes, index, "a header field's name") }
        return Part(position, index)
    }

    /// Within values continued lines still have their ends.
    @inline(__always)
    private static func isSpace(_ byte: UInt8) -> Bool {
        Ascii.isBlank(byte) || byte == Ascii.carriageReturn || byte == Ascii.lineFeed
    }

    /// The carriage return that ends the line.
    ///
    /// Other control characters are refused, since what a value holds is copied to answers and events: only tabs, and
    /// what a backslash escapes (`quoted-pair` of RFC 3261 section 25.1), are let through.
    @inline(__always)
    private func lineEnd(
        _ bytes: Span<UInt8>, from start: Int, lineStart: Int
    ) throws(SIPParseError) -> Int {
        var index = start
        while true {
            index = bytes.controlCharacter(from: index, before: bytes.count)
            guard index < bytes.count else {
                throw SIPParseError(expected: "the end of the line", found: .end, offset: bytes.count)
            }
            if bytes[index] == Ascii.carriageReturn, index + 1 < bytes.count, bytes[index + 1] == Ascii.lineFeed {
                break
            }
            guard Self.isAllowed(bytes, index, lineStart) else {
                throw Self.unexpected(bytes, index, "a line without control characters")
            }
            index += 1
        }
        guard index - lineStart <= limits.headerLineBytes else {
            throw SIPParseError(
                expected: "lines of \(limits.headerLineBytes) bytes at most", found: .count(index - lineStart),
                offset: lineStart, status: 513)
        }
        return index
    }

    private static func isAllowed(_ bytes: Span<UInt8>, _ index: Int, _ lineStart: Int) -> Bool {
        switch bytes[index] {
        case Ascii.tab: true
        case Ascii.carriageReturn, Ascii.lineFeed: false
        default: index > lineStart && bytes[index - 1] == Ascii.backslash
        }
    }

    private static func unexpected(_ bytes: Span<UInt8>, _ index: Int, _ expected: String) -> SIPParseError {
        SIPParseError(
            expected: expected, found: index < bytes.count ? .byte(bytes[index]) : .end,
            offset: min(index, bytes.count))
    }
}
