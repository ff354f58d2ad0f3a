/// Why a request is not granted: the status of its answer and what that says beside it.
struct SIPRefusal: Error {
    let status: Int
    /// Nil for the standard phrase.
    var reason: String?
    var headers: [(name: StaticString, value: String)] = []

    static func badRequest(_ reason: String) -> SIPRefusal { SIPRefusal(status: 400, reason: reason) }
    static let unknownDomain = SIPRefusal(status: 404)

    /// Come back later, not all at once.
    static func unavailable(after seconds: Int) -> SIPRefusal {
        SIPRefusal(status: 503, headers: [("Retry-After", "\(seconds)")])
    }

    /// RFC 3261 section 21.4.17.
    static func intervalTooBrief(minimum seconds: Int64) -> SIPRefusal {
        SIPRefusal(status: 423, headers: [("Min-Expires", "\(seconds)")])
    }

    /// RFC 3261 section 10.3 wants every contact in the answer, and section 18 the answer in one datagram: a list that
    /// is too long for it is told over a stream alone. Own decision.
    static let answerTooLarge = SIPRefusal(
        status: 513, reason: "Message Too Large (the answer is, for a datagram; use TCP)")

    static let methodNotAllowed = SIPRefusal(status: 405, headers: [("Allow", SIPCapabilities.allow)])
}

/// What the gateway says of itself.
enum SIPCapabilities {
    static let allow = "REGISTER, OPTIONS, SUBSCRIBE"
    /// RFC 6665 section 8.2.2; the package is that of RFC 3680.
    static let events = "reg"
    /// RFC 3327, RFC 5626, RFC 5627.
    static let extensions: [StaticString] = ["path", "outbound", "gruu"]
    static let supported = "path, outbound, gruu"
}
