import Foundation

/// The cluster as a router sees it: what `rollcall status` shows.
///
/// Encoded as JSON its keys are part of the product's interface: they may be added to, not changed.
public struct ClusterStatus: Codable, Hashable, Sendable {
    public var routers: [Router]
    public var nodes: [Node]
    public var domains: [Domain]
    /// How the router that was asked finds the coordinator; nil from a router that does not say.
    public var coordinator: Coordinator?
    /// The version of the active topology, 0 when none was activated yet; nil from a router that does not say.
    public var topology: UInt64?
    /// The sites that ask for a quorum; nil when none does.
    public var sites: [Site]?
    /// Whether the router that was asked leads and knows all that is stored. Otherwise it shows what it has been told,
    /// which may be nothing, or old. Nil from a router that does not say.
    public var isDecided: Bool?

    /// Whether it may be concluded from it that something is not so.
    public var isConclusive: Bool { isDecided ?? routers.contains { $0.state == .active } }

    public init(
        routers: [Router], nodes: [Node], domains: [Domain], coordinator: Coordinator? = nil, topology: UInt64? = nil,
        sites: [Site]? = nil, isDecided: Bool? = nil
    ) {
        self.isDecided = isDecided
        self.sites = sites
        self.topology = topology
        self.routers = routers
        self.nodes = nodes
        self.domains = domains
        self.coordinator = coordinator
    }

    enum CodingKeys: String, CodingKey {
        case routers, nodes, domains, coordinator, topology, sites
        case isDecided = "decided"
    }

    public struct Site: Codable, Hashable, Sendable {
        public var name: String
        public var servers: Int
        /// Servers with a node that the router hears.
        public var serversPresent: Int
        /// Whether those are more than half. If not, the site's nodes take nothing on.
        public var hasQuorum: Bool

        public init(name: String, servers: Int, serversPresent: Int, hasQuorum: Bool) {
            self.name = name
            self.servers = servers
            self.serversPresent = serversPresent
            self.hasQuorum = hasQuorum
        }

        enum CodingKeys: String, CodingKey {
            case name, servers
            case serversPresent = "servers_present"
            case hasQuorum = "has_quorum"
        }
    }

    public struct Coordinator: Codable, Hashable, Sendable {
        public enum State: String, Codable, Sendable {
            /// The router has not asked yet.
            case unknown
            case reachable, unreachable
        }

        public var state: State
        /// The first call that failed without one that succeeded since, in milliseconds since 1970 on the router's
        /// clock; nil unless unreachable.
        public var unreachableSince: Int64?
        /// Why the last call failed; nil unless unreachable.
        public var error: String?

        public init(state: State, unreachableSince: Int64? = nil, error: String? = nil) {
            self.state = state
            self.unreachableSince = unreachableSince
            self.error = error
        }

        /// For people; nil unless unreachable.
        public var complaint: String? {
            guard state == .unreachable else { return nil }
            let since = Date(timeIntervalSince1970: Double(unreachableSince ?? 0) / 1000)
            return "coordinator: unreachable since \(since.formatted(.iso8601)): \(error ?? "no reason given")"
        }

        enum CodingKeys: String, CodingKey {
            case state, error
            case unreachableSince = "unreachable_since"
        }
    }

    public struct Router: Codable, Hashable, Sendable {
        public enum State: String, Codable, Sendable { case active, standby, down }

        public var name: String
        public var state: State
        /// The term it leads in; 0 unless active.
        public var term: UInt64

        public init(name: String, state: State, term: UInt64) {
            self.name = name
            self.state = state
            self.term = term
        }
    }

    public struct Node: Codable, Hashable, Sendable {
        /// Draining while the node still serves something, drained when it serves nothing.
        public enum Status: String, Codable, Sendable { case up, suspect, down, draining, drained }

        public var name: String
        public var roles: [String]
        public var site: String
        public var server: String
        /// 0 when the router has never heard it.
        public var incarnation: UInt64
        public var status: Status
        public var pid: UInt64
        public var uptimeSeconds: UInt64
        /// Which version of the wire it speaks; nil when it was never heard, and from routers of earlier versions.
        public var wireVersion: UInt64?
        /// The version of the active topology that it has; nil while it is down, or when it does not say.
        public var topology: UInt64?
        /// True when some of the active topology waits for its next start.
        public var needsRestart: Bool?
        /// False while the node cannot write its journal, as when its disk is full; else nil.
        public var journalWritable: Bool?

        public init(
            name: String, roles: [String], site: String, server: String, incarnation: UInt64, status: Status,
            pid: UInt64, uptimeSeconds: UInt64, wireVersion: UInt64? = nil
        ) {
            self.name = name
            self.roles = roles
            self.site = site
            self.server = server
            self.incarnation = incarnation
            self.status = status
            self.pid = pid
            self.uptimeSeconds = uptimeSeconds
            self.wireVersion = wireVersion
        }

        enum CodingKeys: String, CodingKey {
            case name, roles, site, server, incarnation, status, pid, topology
            case needsRestart = "needs_restart"
            case journalWritable = "journal_writable"
            case uptimeSeconds = "uptime_s"
            case wireVersion = "wire_version"
        }
    }

    public struct Domain: Codable, Hashable, Sendable {
        public var name: String
        /// 0 while the domain has never had an owner.
        public var epoch: UInt64
        /// As last reported, so up to a second old.
        public var seq: UInt64
        public var owner: String?
        public var standbys: [Standby]
        /// The node that is to own it next, while it is being moved.
        public var movingTo: String?
        public var contacts: Contacts
        /// True while its registrations are being ended, because the topology has it no more.
        public var isBeingRemoved: Bool?

        public init(
            name: String, epoch: UInt64, seq: UInt64, owner: String?, standbys: [Standby], movingTo: String? = nil,
            contacts: Contacts
        ) {
            self.name = name
            self.epoch = epoch
            self.seq = seq
            self.owner = owner
            self.standbys = standbys
            self.movingTo = movingTo
            self.contacts = contacts
        }

        /// Written out so that `owner` is there, as null, when there is none.
        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(name, forKey: .name)
            try container.encode(epoch, forKey: .epoch)
            try container.encode(seq, forKey: .seq)
            try container.encode(owner, forKey: .owner)
            try container.encode(standbys, forKey: .standbys)
            try container.encodeIfPresent(movingTo, forKey: .movingTo)
            try container.encode(contacts, forKey: .contacts)
            try container.encodeIfPresent(isBeingRemoved, forKey: .isBeingRemoved)
        }

        enum CodingKeys: String, CodingKey {
            case name, epoch, seq, owner, standbys, contacts
            case movingTo = "moving_to"
            case isBeingRemoved = "being_removed"
        }
    }

    public struct Standby: Codable, Hashable, Sendable {
        public var name: String
        public var inSync: Bool

        public init(name: String, inSync: Bool) {
            self.name = name
            self.inSync = inSync
        }

        enum CodingKeys: String, CodingKey {
            case name
            case inSync = "in_sync"
        }
    }

    /// How many contacts of each kind of account.
    public struct Contacts: Codable, Hashable, Sendable {
        public var user: UInt64
        public var sipuser: UInt64

        public init(user: UInt64, sipuser: UInt64) {
            self.user = user
            self.sipuser = sipuser
        }
    }
}
