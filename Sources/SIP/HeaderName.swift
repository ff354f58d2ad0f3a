/// The header fields that are known by name, with their compact forms. Names are case-insensitive.
///
/// Sources: RFC 3261 section 20 and the IANA registry of SIP header fields.
public enum HeaderName: UInt8, CaseIterable, Sendable {
    case via
    case from
    case to
    case callID
    case cseq
    case maxForwards
    case contact
    case contentLength
    case contentType
    case contentEncoding
    case contentDisposition
    case contentLanguage
    case mimeVersion
    case expires
    case minExpires
    case retryAfter
    case date
    case timestamp
    case userAgent
    case server
    case organization
    case subject
    case priority
    case warning
    case authorization
    case proxyAuthorization
    case wwwAuthenticate
    case proxyAuthenticate
    case authenticationInfo
    case route
    case recordRoute
    case path
    case serviceRoute
    case require
    case proxyRequire
    case supported
    case unsupported
    case allow
    case allowEvents
    case event
    case subscriptionState
    case accept
    case acceptEncoding
    case acceptLanguage
    case referTo
    case referredBy
    case replaces
    case reason
    case sessionExpires
    case minSE
    case flowTimer
    case sipETag
    case sipIfMatch
    case acceptContact
    case rejectContact
    case requestDisposition
    case pAssertedIdentity
    case privacy
    /// Any other; the field keeps its name's text.
    case other

    /// The name in full.
    public var name: StaticString {
        switch self {
        case .via: "Via"
        case .from: "From"
        case .to: "To"
        case .callID: "Call-ID"
        case .cseq: "CSeq"
        case .maxForwards: "Max-Forwards"
        case .contact: "Contact"
        case .contentLength: "Content-Length"
        case .contentType: "Content-Type"
        case .contentEncoding: "Content-Encoding"
        case .contentDisposition: "Content-Disposition"
        case .contentLanguage: "Content-Language"
        case .mimeVersion: "MIME-Version"
        case .expires: "Expires"
        case .minExpires: "Min-Expires"
        case .retryAfter: "Retry-After"
        case .date: "Date"
        case .timestamp: "Timestamp"
        case .userAgent: "User-Agent"
        case .server: "Server"
        case .organization: "Organization"
        case .subject: "Subject"
        case .priority: "Priority"
        case .warning: "Warning"
        case .authorization: "Authorization"
        case .proxyAuthorization: "Proxy-Authorization"
        case .wwwAuthenticate: "WWW-Authenticate"
        case .proxyAuthenticate: "Proxy-Authenticate"
        case .authenticationInfo: "Authentication-Info"
        case .route: "Route"
        case .recordRoute: "Record-Route"
        case .path: "Path"
        case .serviceRoute: "Service-Route"
        case .require: "Require"
        case .proxyRequire: "Proxy-Require"
        case .supported: "Supported"
        case .unsupported: "Unsupported"
        case .allow: "Allow"
        case .allowEvents: "Allow-Events"
        case .event: "Event"
        case .subscriptionState: "Subscription-State"
        case .accept: "Accept"
        case .acceptEncoding: "Accept-Encoding"
        case .acceptLanguage: "Accept-Language"
        case .referTo: "Refer-To"
        case .referredBy: "Referred-By"
        case .replaces: "Replaces"
        case .reason: "Reason"
        case .sessionExpires: "Session-Expires"
        case .minSE: "Min-SE"
        case .flowTimer: "Flow-Timer"
        case .sipETag: "SIP-ETag"
        case .sipIfMatch: "SIP-If-Match"
        case .acceptContact: "Accept-Contact"
        case .rejectContact: "Reject-Contact"
        case .requestDisposition: "Request-Disposition"
        case .pAssertedIdentity: "P-Asserted-Identity"
        case .privacy: "Privacy"
        case .other: ""
        }
    }

    /// Whether the field is a list whose elements commas separate, so that two fields mean the same as one with both
    /// values. The credentials and challenges have commas within one value (RFC 3261 section 7.3.1).
    public var isList: Bool {
        switch self {
        case .via, .contact, .contentEncoding, .contentLanguage, .warning, .route, .recordRoute,
            .path, .serviceRoute, .require, .proxyRequire, .supported, .unsupported, .allow,
            .allowEvents, .accept, .acceptEncoding, .acceptLanguage, .reason, .acceptContact,
            .rejectContact, .requestDisposition, .pAssertedIdentity:
            true
        default: false
        }
    }
}
