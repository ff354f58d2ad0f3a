public import RegistrarEvents

/// The cluster as its operator describes it in a topology file: domains, nodes and everything they share.
///
/// A value of this type is valid: `load` and `parse` are the only ways to get one, and they check everything.
/// Every path in it is absolute, or relative to the working directory when the file's own path was.
public struct Topology: Hashable, Sendable {
    /// Name of the cluster.
    public let cluster: String
    /// The topology file, as it was named to `load`.
    public let file: String
    public let secret: SecretSource
    public let coordinator: CoordinatorSource
    public let periods: Periods
    public let limits: Limits
    /// Directory of the journals; each node has its own inside it (`journalPath(of:)`).
    public let journal: String
    public let directory: DirectorySource
    /// Whether the admin addresses answer without a token. Only with loopback addresses alone.
    public let adminIsOpen: Bool
    public let tokens: TokenSettings
    /// In the order of the file.
    public let domains: [DomainSpec]
    /// Kafka first, then the plugins in the order of the file.
    public let destinations: [DestinationSpec]
    /// In the order of the file.
    public let sites: [SiteSpec]
    /// The text that it was read from.
    public internal(set) var source = ""

    /// Largest topology file, in bytes.
    public static let maximumFileSize = 4 << 20

    /// Where the cluster secret is kept.
    public enum SecretSource: Hashable, Sendable {
        /// A file, made on first start (`clusterSecret`).
        case file(path: String)
        /// Frames are not sealed and no tokens can be issued. Only with loopback addresses alone.
        case none
    }

    /// What the routers agree through.
    public enum CoordinatorSource: Hashable, Sendable {
        /// A database file that all routers, on one machine, share.
        case embedded(path: String)
        /// An etcd cluster, which routers on any machine can reach.
        case etcd(EtcdSpec)
    }

    /// Where the accounts are kept.
    public enum DirectorySource: Hashable, Sendable {
        /// A YAML file (`FileDirectory`).
        case file(path: String)
        /// A database file (`SQLiteDirectory`).
        case sqlite(path: String)
    }
}

extension Topology {
    /// Every node, in the order of the file.
    public var nodes: [NodeSpec] { sites.flatMap { $0.servers.flatMap(\.nodes) } }

    /// The nodes of a role: by `order`, then by name.
    public func nodes(of role: NodeRole) -> [NodeSpec] {
        nodes.filter { $0.role == role }.sorted { ($0.order, $0.name) < ($1.order, $1.name) }
    }

    public func node(named name: NodeName) -> NodeSpec? { nodes.first { $0.name == name } }

    public func domain(named name: DomainName) -> DomainSpec? { domains.first { $0.name == name } }

    /// The directory of a node's journal.
    public func journalPath(of node: NodeName) -> String { "\(journal)/\(node)" }
}
