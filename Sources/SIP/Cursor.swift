/// Reads a text from left to right. Every production of the grammar that more than one header has is here.
///
/// Continuation lines were made spaces when the message was read, so white space is spaces and tabs only.
struct Cursor {
    let storage: [UInt8]
    private(set) var position: Int
    let end: Int

    init(_ text: SIPText) {
        storage = text.storage
        position = text.part.lower
        end = max(text.part.lower, text.part.upper)
    }

    @inline(__always) var isAtEnd: Bool { position >= end }
    /// The next byte, or nil at the end.
    @inline(__always) var next: UInt8? { position < end ? storage[position] : nil }

    func failure(_ expected: String) -> SIPParseError {
        SIPParseError(expected: expected, found: next.map { .byte($0) } ?? .end, offset: position)
    }

    /// The same, at a part that was read already.
    func failure(_ expected: String, at part: Part) -> SIPParseError {
        let isEmpty = part.count == 0
        return SIPParseError(
            expected: expected, found: isEmpty ? .end : .byte(storage[part.lower]), offset: part.lower)
    }

    mutating func move(to position: Int) { self.position = position }

    @inline(__always)
    mutating func skipBlanks() {
        while position < end, Ascii.isBlank(storage[position]) { position += 1 }
    }

    @inline(__always)
    mutating func take(_ byte: UInt8) -> Bool {
        guard position < end, storage[position] == byte else { return false }
        position += 1
        return true
    }

    @inline(__always)
    mutating func expect(_ byte: UInt8, _ what: String) throws(SIPParseError) {
        guard take(byte) else { throw failure(what) }
    }

    /// A separator with white space around it.
    @inline(__always)
    mutating func takeSeparator(_ byte: UInt8) -> Bool {
        skipBlanks()
        guard take(byte) else { return false }
        skipBlanks()
        return true
    }

    /// As many bytes of the set as follow; perhaps none.
    @inline(__always)
    mutating func run(of set: ByteSet) -> Part {
        let start = position
        position = storage.span.first(outside: set, from: start, before: end)
        return Part(start, position)
    }

    /// As many bytes as follow that are not of the set.
    @inline(__always)
    mutating func run(outside set: ByteSet) -> Part {
        let start = position
        position = storage.span.first(of: set, from: start, before: end)
        return Part(start, position)
    }

    /// As many bytes of the set as follow, where each `%` has two hexadecimal digits behind it.
    @inline(__always)
    mutating func escapedRun(of set: ByteSet) throws(SIPParseError) -> Part {
        let start = position
        position = storage.span.first(outside: set, from: start, before: end)
        let part = Part(start, position)
        if let fault = storage.firstFaultyEscape(part) {
            position = fault
            throw failure("two hexadecimal digits after %")
        }
        return part
    }

    /// Everything before the byte; goes to the end when it does not follow.
    @inline(__always)
    mutating func upTo(_ byte: UInt8) -> Part {
        let start = position
        position = storage.span.first(byte, or: byte, from: start, before: end)
        return Part(start, position)
    }

    /// Whether the byte is anywhere in the rest.
    func rest(contains byte: UInt8) -> Bool {
        storage.span.first(byte, or: byte, from: position, before: end) < end
    }

    @inline(__always)
    mutating func token(_ what: String) throws(SIPParseError) -> Part {
        let part = run(of: .token)
        guard part.count > 0 else { throw failure(what) }
        return part
    }

    /// A `quoted-string` with its quotes.
    mutating func quoted() throws(SIPParseError) -> Part {
        let start = position
        try expect(Ascii.quote, "a quote")
        while true {
            let index = storage.span.first(Ascii.quote, or: Ascii.backslash, from: position, before: end)
            guard index < end, storage[index] == Ascii.backslash else {
                position = min(index + 1, end)
                guard index < end else { throw failure("a closing quote") }
                return Part(start, position)
            }
            // A backslash at the very end has no byte to escape.
            position = min(index + 2, end)
        }
    }

    /// Decimal digits of any number.
    mutating func digits(_ what: String) throws(SIPParseError) -> Part {
        let start = position
        var index = start
        while index < end, Ascii.isDigit(storage[index]) { index += 1 }
        position = index
        guard index > start else { throw failure(what) }
        return Part(start, position)
    }

    /// A port: 1 to 65535, and 0 as some send it.
    mutating func port() throws(SIPParseError) -> UInt16 {
        let part = try digits("a port number")
        guard let number = storage.decimal(part), let port = UInt16(exactly: number) else {
            throw failure("a port of 65535 at most", at: part)
        }
        return port
    }

    /// A name, an IPv4 address or an IPv6 reference with its brackets.
    mutating func host() throws(SIPParseError) -> Part {
        let start = position
        guard take(Ascii.leftBracket) else {
            let name = run(of: .host)
            guard name.count > 0 else { throw failure("a host") }
            return name
        }
        let address = run(of: .ipv6)
        guard IPv6Address(storage, address) != nil else { throw failure("an IPv6 address", at: address) }
        try expect(Ascii.rightBracket, "a closing bracket")
        return Part(start, position)
    }

    /// The rest must be white space.
    mutating func finish(_ what: String) throws(SIPParseError) {
        skipBlanks()
        guard isAtEnd else { throw failure("the end of \(what)") }
    }
}
