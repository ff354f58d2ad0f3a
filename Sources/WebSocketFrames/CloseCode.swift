/// Why a websocket is closed. Source: RFC 6455 section 7.4.1 and the IANA registry of close codes.
package enum CloseCode: UInt16, Sendable {
    case normal = 1000
    case goingAway = 1001
    case protocolError = 1002
    case unsupportedData = 1003
    case invalidPayload = 1007
    case policyViolation = 1008
    case tooBig = 1009
    case internalError = 1011
    case serviceRestart = 1012

    /// Whether a peer may put this code into a close frame.
    static func isAllowed(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}
