/// Who is registered where: a contact key and the details that the events carry.
public struct Registration: Hashable, Sendable {
    public var key: ContactKey
    public var details: Details

    /// What is known of the endpoint, by kind of account.
    public enum Details: Hashable, Sendable {
        case user(UserDetails)
        case sipuser(SIPUserDetails)
    }

    public init(account: String, contact: String, user details: UserDetails) {
        key = ContactKey(.user, account, contact)
        self.details = .user(details)
    }

    public init(account: String, contact: String, sipuser details: SIPUserDetails) {
        key = ContactKey(.sipuser, account, contact)
        self.details = .sipuser(details)
    }
}

/// A websocket connection of a `user` account. Fields as the platform documents them for `user_registered`.
public struct UserDetails: Hashable, Sendable {
    public var sessionID: String
    public var app: String
    public var caps: [String]
    public var peerAddress: String
    public var peerPort: UInt16

    public init(
        sessionID: String = "", app: String = "", caps: [String] = [], peerAddress: String = "", peerPort: UInt16 = 0
    ) {
        self.sessionID = sessionID
        self.app = app
        self.caps = caps
        self.peerAddress = peerAddress
        self.peerPort = peerPort
    }
}

/// A SIP device of a `sipuser` account. Fields are our own decision, named after RFC 3261, 3327 and 5626.
public struct SIPUserDetails: Hashable, Sendable {
    public var login: String
    public var contactURI: String
    public var instanceID: String
    /// The flow's number under its instance (RFC 5626 section 4.2); 0 for a contact that has none.
    public var regID: UInt32
    /// The contact's other parameters as it gave them (`q`, feature tags), without `expires`: `q=0.5;audio`.
    public var parameters: String
    public var userAgent: String
    public var transport: String
    public var path: [String]
    public var callID: String
    public var cseq: UInt32
    public var peerAddress: String
    public var peerPort: UInt16

    /// Longest `contactURI` and `instanceID` that are taken in, in bytes: that of a header field, and far more than the
    /// URN of a device has. Both stand in every answer and notification about the contact.
    public static let maximumURILength = 8_192
    public static let maximumInstanceLength = 256

    public init(
        login: String = "", contactURI: String = "", instanceID: String = "", regID: UInt32 = 0,
        parameters: String = "", userAgent: String = "", transport: String = "", path: [String] = [],
        callID: String = "", cseq: UInt32 = 0,
        peerAddress: String = "", peerPort: UInt16 = 0
    ) {
        self.login = login
        self.contactURI = contactURI
        self.instanceID = instanceID
        self.regID = regID
        self.parameters = parameters
        self.userAgent = userAgent
        self.transport = transport
        self.path = path
        self.callID = callID
        self.cseq = cseq
        self.peerAddress = peerAddress
        self.peerPort = peerPort
    }
}
