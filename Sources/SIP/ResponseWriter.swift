/// Builds the response to a request.
///
/// What the request says is repeated as it was (RFC 3261 section 8.2.6.2): all Via fields in their order, From, To,
/// Call-ID and CSeq. The top Via gets `received` and a value for `rport` where asked for (section 18.2.1 and RFC 3581
/// section 4), and To a tag when it has none. Header fields of the caller follow, then Content-Length and body.
public struct ResponseWriter: MessageWriter, Sendable {
    public var writer: ByteWriter

    /// - Parameters:
    ///   - reason: the reason phrase; nil for the standard one.
    ///   - request: what was parsed, or salvaged: what it lacks is left out.
    ///   - essentials: what was read of the request already, so that it is not read again.
    ///   - received: the address that the request came from, when the top Via is to say so. An IPv6 address without
    ///     brackets. Replaces what the sender put there.
    ///   - rport: the port it came from, for the top Via's `rport`, which is added when the Via has none.
    ///   - toTag: the tag for a To that has none; nil to add none, as in a 100.
    ///   - room: how many bytes the caller means to add.
    public init(
        _ status: Int, reason: String? = nil, to request: SIPMessage, read essentials: SIPEssentials? = nil,
        received: String? = nil, rport: UInt16? = nil, toTag: String? = nil, room: Int = 128
    ) {
        writer = ByteWriter(reserving: request.bodyRange.lowerBound + room)
        writer.literal("SIP/2.0 ")
        writer.append(UInt64(status))
        writer.literal(" ")
        if let reason { writer.append(reason) } else { writer.literal(ReasonPhrase.of(status)) }
        writer.endLine()
        vias(of: request, essentials?.via, received: received, rport: rport)
        copy(.from, of: request)
        to(of: request, tag: essentials?.to.hasTag == true ? nil : toTag)
        copy(.callID, of: request)
        copy(.cseq, of: request)
    }

    private mutating func vias(of request: SIPMessage, _ top: Via?, received: String?, rport: UInt16?) {
        var isTop = received != nil || rport != nil
        for field in request.fields where field.header == .via {
            if isTop {
                isTop = false
                topVia(of: request, field, top, received: received, rport: rport)
            } else {
                line(field, of: request)
            }
        }
    }

    /// The first field of Via, whose first element is the sender's.
    private mutating func topVia(
        of request: SIPMessage, _ field: HeaderField, _ read: Via?, received: String?, rport: UInt16?
    ) {
        guard let via = read ?? Self.firstVia(request.bytes, field.value) else {
            line(field, of: request)
            return
        }
        writer.literal("Via: ")
        let source = request.bytes
        var copied = field.value.lower
        func leaveOut(_ cut: Part) {
            writer.copy(source, copied..<cut.lower)
            copied = cut.upper
            // An old `received` may begin where an `rport` without a value ends.
            if cut == via.rportValue, let rport {
                writer.literal("=")
                writer.append(UInt64(rport))
            }
        }
        let cuts = via.cuts(received: received != nil, rport: rport != nil)
        if let first = cuts.first { leaveOut(first) }
        if let second = cuts.second { leaveOut(second) }
        writer.copy(source, copied..<via.text.part.upper)
        if let received {
            writer.literal(";received=")
            writer.append(received)
        }
        if let rport, via.rport == .absent {
            writer.literal(";rport=")
            writer.append(UInt64(rport))
        }
        writer.copy(source, via.text.part.upper..<field.value.upper)
        writer.endLine()
    }

    private static func firstVia(_ bytes: [UInt8], _ value: Part) -> Via? {
        var list = ListSplitter(bytes, value)
        // One that cannot be read is repeated as it is, when a salvaged request is answered.
        return list.next().flatMap { try? Via(parsing: SIPText(bytes, $0)) }
    }

    private mutating func to(of request: SIPMessage, tag: String?) {
        for field in request.fields where field.header == .to {
            guard let tag, !Self.hasTag(request.bytes, field.value) else {
                line(field, of: request)
                return
            }
            writer.literal("To: ")
            writer.copy(request.bytes, field.value.range)
            writer.literal(";tag=")
            writer.append(tag)
            writer.endLine()
            return
        }
    }

    /// Whether a To has a tag; one that cannot be read has none.
    private static func hasTag(_ bytes: [UInt8], _ value: Part) -> Bool {
        var cursor = Cursor(SIPText(bytes, value))
        cursor.skipAddress()
        var parameters = ContactParameters()
        // What cannot be read any more may have had its tag before.
        try? parameters.read(&cursor)
        return !parameters.tag.isAbsent
    }

    private mutating func copy(_ header: HeaderName, of request: SIPMessage) {
        for field in request.fields where field.header == header {
            line(field, of: request)
            return
        }
    }

    /// The field as it was, with the name as it was.
    @inline(__always)
    private mutating func line(_ field: HeaderField, of request: SIPMessage) {
        writer.copy(request.bytes, field.name.lower..<field.value.upper)
        writer.endLine()
    }
}

extension Via {
    /// From behind the name `rport` to its end: empty without a value.
    fileprivate var rportValue: Part { Part(rportNameEnd, rportEnd) }

    /// What is to be left out of the text, in its order: an old `received`, and an old value of `rport`, whose place a
    /// new value takes.
    fileprivate func cuts(received: Bool, rport: Bool) -> (first: Part?, second: Part?) {
        let old = received && !receivedParameter.isAbsent ? receivedParameter : nil
        let port = rport && self.rport != .absent ? rportValue : nil
        guard let old, let port else { return (old ?? port, nil) }
        return old.lower < port.lower ? (old, port) : (port, old)
    }
}

extension Cursor {
    /// Goes to the parameters of an address without reading it: behind the closing bracket, or to the first semicolon.
    mutating func skipAddress() {
        var isQuoted = false
        var index = position
        while index < end {
            switch storage[index] {
            case Ascii.backslash where isQuoted: index += 1
            case Ascii.quote: isQuoted.toggle()
            case Ascii.less where !isQuoted:
                while index < end, storage[index] != Ascii.greater { index += 1 }
                move(to: min(index + 1, end))
                return
            case Ascii.semicolon where !isQuoted:
                move(to: index)
                return
            default: break
            }
            index += 1
        }
        move(to: end)
    }
}
