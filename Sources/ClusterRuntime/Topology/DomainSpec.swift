public import Digests
public import RegistrarEvents

/// A domain (tenant) as the topology describes it.
public struct DomainSpec: Hashable, Sendable {
    /// What an owner does with writes while it has no in-sync standby and no lease of the router.
    public enum Availability: String, CaseIterable, Sendable {
        /// Refuses them: an acknowledged registration always survives.
        case refuse
        /// Accepts them: better a registration that may be lost than none.
        case accept
    }

    /// What a domain's standbys have to be apart from its owner by.
    public enum Spread: String, CaseIterable, Sendable {
        /// Another server where there is one, and another site where that can be had as well.
        case server
        /// At least one of them at another site: the topology must allow for that.
        case site
    }

    public let name: DomainName
    /// Copies in all, the owner's included.
    public let replicas: Int
    /// Most contacts the domain may have.
    public let contacts: Int
    /// Most devices (contacts) one account may have.
    public let devices: Int
    /// A shorter `expires` that a client asks for is refused or raised to this.
    public let minimumExpires: Duration
    /// A longer `expires` that a client asks for is cut to this.
    public let maximumExpires: Duration
    public let availability: Availability
    /// The algorithms of SIP digest that phones are offered, the first choice first; at least one.
    ///
    /// Devices that know MD5 alone should pass over the others (RFC 7616 section 3.7), but many give up on them: those
    /// made before RFC 8760, and the SIP libraries of browsers. A domain that has such phones offers MD5 alone.
    public let digest: [DigestAlgorithm]
    /// The topic of its events; nil for the name that follows from the domain's.
    public let kafkaTopic: String?
    /// The nodes that are to own it, the most wanted first; empty for whichever ranks first.
    public let pin: [NodeName]
    public let spread: Spread

    /// RFC 8760 section 2.6 leaves the order to the server.
    public static let defaultDigest: [DigestAlgorithm] = [.sha256, .sha512_256, .md5]
    public static let replicasRange = 1...7
    public static let defaultReplicas = 2
    /// Most nodes that one domain may be pinned to.
    public static let maximumPins = 16
    public static let defaultMinimumExpires: Duration = .seconds(30)
    public static let defaultMaximumExpires: Duration = .seconds(3600)
    /// What `expires` may be set to.
    public static let expiresRange: ClosedRange<Duration> = .seconds(1) ... .seconds(7 * 86400)

    public init(
        name: DomainName, replicas: Int = defaultReplicas, contacts: Int = Limits().contactsPerDomain,
        devices: Int = Limits().devices, minimumExpires: Duration = defaultMinimumExpires,
        maximumExpires: Duration = defaultMaximumExpires, availability: Availability = .refuse,
        digest: [DigestAlgorithm] = defaultDigest, kafkaTopic: String? = nil, pin: [NodeName] = [],
        spread: Spread = .server
    ) {
        precondition(!digest.isEmpty, "no digest algorithm for \(name)")
        self.name = name
        self.replicas = replicas
        self.contacts = contacts
        self.devices = devices
        self.minimumExpires = minimumExpires
        self.maximumExpires = maximumExpires
        self.availability = availability
        self.digest = digest
        self.kafkaTopic = kafkaTopic
        self.pin = pin
        self.spread = spread
    }
}
