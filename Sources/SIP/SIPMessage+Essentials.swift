/// The fields that every request has, read and checked.
public struct SIPEssentials: Sendable {
    /// The sender's: the first of all.
    public let via: Via
    public let from: NameAddress
    public let to: NameAddress
    public let callID: SIPText
    public let cseq: CSeq
    /// Nil when the sender is of RFC 2543 and sent none.
    public let maxForwards: MaxForwards?
}

extension SIPMessage {
    /// Reads the fields that every message must have, each exactly once but Via.
    ///
    /// A missing tag of From, a missing branch and a missing Max-Forwards are let pass, as a sender of RFC 2543 leaves
    /// them out (RFC 3261 sections 8.1.1 and 17.2.3, RFC 4475 section 3.4.1).
    /// - Throws: when one is missing, there twice or malformed, or CSeq's method is not the request's: 400.
    public func essentials() throws(SIPParseError) -> SIPEssentials {
        var hops: MaxForwards?
        if let text = try only(.maxForwards) { hops = try MaxForwards(parsing: text) }
        guard let via = first(.via) else { throw missing("a Via") }
        let cseqText = try single(.cseq, "one CSeq")
        let cseq = try CSeq(parsing: cseqText)
        if let method, method != cseq.method {
            throw Cursor(cseqText).failure("the request's method in CSeq", at: cseqText.part)
        }
        let callID = try single(.callID, "one Call-ID")
        guard !callID.isEmpty else { throw Cursor(callID).failure("a Call-ID") }
        return SIPEssentials(
            via: try Via(parsing: via),
            from: try NameAddress(parsing: try single(.from, "one From")),
            to: try NameAddress(parsing: try single(.to, "one To")),
            callID: callID, cseq: cseq, maxForwards: hops)
    }

    /// The value of a field that may be there once.
    /// - Throws: when there are two.
    public func only(_ header: HeaderName) throws(SIPParseError) -> SIPText? {
        var value: Part?
        for field in fields where field.header == header {
            guard value == nil else {
                throw SIPParseError(
                    expected: "one \(header.name)", found: .count(occurrences(of: header)), offset: field.name.lower)
            }
            value = field.value
        }
        return value.map { SIPText(bytes, $0) }
    }

    private func single(_ header: HeaderName, _ what: String) throws(SIPParseError) -> SIPText {
        guard let text = try only(header) else { throw missing(what) }
        return text
    }

    private func missing(_ what: String) -> SIPParseError {
        SIPParseError(expected: what, found: .end, offset: bodyRange.lowerBound)
    }
}
