public import RegistrarEvents

/// Who is told of events besides subscribers: Kafka, or a plugin. As the topology describes it.
public struct DestinationSpec: Hashable, Sendable {
    /// Unique in the topology: `kafka`, or the plugin's name. Names the cursor that is replicated.
    public let name: String
    public let kind: Kind
    public let filter: DestinationFilter
    /// Bytes on a node's disk for what the destination has not taken; beyond them, `clear` and replay.
    public let spoolBytes: Int
    /// Bytes in a node's memory for the same, of each domain; those beyond go to the spool.
    public let memoryBytes: Int

    public enum Kind: Hashable, Sendable {
        case kafka(KafkaSpec)
        case webhook(WebhookSpec)
        case nanomsg(NanomsgPluginSpec)

        /// As in status and metrics.
        public var name: String {
            switch self {
            case .kafka: "kafka"
            case .webhook: "webhook"
            case .nanomsg: "nanomsg"
            }
        }
    }

    public static let defaultSpoolBytes = 1 << 30
    static let spoolRange = 1 << 20...1 << 40
    public static let defaultMemoryBytes = 8 << 20
    static let memoryRange = 64 << 10...1 << 30

    public init(
        name: String, kind: Kind, filter: DestinationFilter = .everything, spoolBytes: Int = defaultSpoolBytes,
        memoryBytes: Int = defaultMemoryBytes
    ) {
        self.name = name
        self.kind = kind
        self.filter = filter
        self.spoolBytes = spoolBytes
        self.memoryBytes = memoryBytes
    }
}

/// A Kafka cluster, and how to write to it.
public struct KafkaSpec: Hashable, Sendable {
    public enum Compression: String, CaseIterable, Sendable { case none, gzip, snappy, lz4, zstd }

    /// What keeps a deposed owner from being heard after its successor.
    public enum Fencing: String, CaseIterable, Sendable {
        /// Consumers pass over what is of a lower epoch than they have seen of the domain.
        case epoch
        /// The broker refuses it: each domain is written by transactions under an id of its own. For few domains.
        case transactions
    }

    /// What records are keyed by. Partitions go by the account in either case.
    public enum Keys: String, CaseIterable, Sendable {
        /// Domain and account: for topics that are a log.
        case account
        /// Domain, account and contact, with a tombstone after the end of a contact: for compacted topics.
        case contact
    }

    /// Makes topics that are missing, with so many partitions and replicas.
    public struct TopicCreation: Hashable, Sendable {
        public let partitions: Int
        public let replicas: Int
        /// `cleanup.policy=compact` in place of the broker's own.
        public let isCompacted: Bool

        public init(partitions: Int = 1, replicas: Int = 1, isCompacted: Bool = false) {
            self.partitions = partitions
            self.replicas = replicas
            self.isCompacted = isCompacted
        }
    }

    public enum Mechanism: String, CaseIterable, Sendable {
        case plain = "PLAIN"
        case scramSHA256 = "SCRAM-SHA-256"
        case scramSHA512 = "SCRAM-SHA-512"
    }

    public struct Login: Hashable, Sendable {
        public let mechanism: Mechanism
        public let user: String
        public let passwordPath: String

        public init(mechanism: Mechanism, user: String, passwordPath: String) {
            self.mechanism = mechanism
            self.user = user
            self.passwordPath = passwordPath
        }
    }

    /// Most domains that may have `fencing: transactions`: each is a producer with threads and connections of its own.
    public static let maximumTransactionalDomains = 64

    /// `HOST:PORT` of some of the brokers; at least one.
    public let brokers: [String]
    public let compression: Compression
    public let fencing: Fencing
    public let keys: Keys
    /// Nil when a missing topic is an error.
    public let creation: TopicCreation?
    /// Nil for plain TCP. The paths within may be left out, as etcd's may.
    public let tls: EtcdSpec.TLS?
    public let login: Login?

    public init(
        brokers: [String], compression: Compression = .lz4, fencing: Fencing = .epoch,
        keys: Keys = .account, creation: TopicCreation? = nil, tls: EtcdSpec.TLS? = nil, login: Login? = nil
    ) {
        precondition(!brokers.isEmpty, "Kafka without a broker")
        self.brokers = brokers
        self.compression = compression
        self.fencing = fencing
        self.keys = keys
        self.creation = creation
        self.tls = tls
        self.login = login
    }
}

/// A plugin that is sent batches of events by HTTP.
public struct WebhookSpec: Hashable, Sendable {
    /// Where the secret that signs the batches is.
    public enum Secret: Hashable, Sendable {
        case text(String)
        case file(path: String)
    }

    public let url: String
    public let secret: Secret
    /// How long an answer may take.
    public let timeout: Duration

    public static let defaultTimeout = Duration.seconds(10)
    static let timeoutRange: ClosedRange<Duration> = .milliseconds(100) ... .seconds(300)

    public init(url: String, secret: Secret, timeout: Duration = defaultTimeout) {
        self.url = url
        self.secret = secret
        self.timeout = timeout
    }
}

/// A plugin that binds a nanomsg PULL socket.
public struct NanomsgPluginSpec: Hashable, Sendable {
    /// Where the plugin listens, such as `tcp://127.0.0.1:9301`.
    public let address: String

    public init(address: String) { self.address = address }

    /// The address in parts; nil when it is not of the form `tcp://HOST:PORT`.
    public var place: (host: String, port: Int)? {
        guard address.hasPrefix("tcp://"), let colon = address.lastIndex(of: ":"),
            let port = Int(address[address.index(after: colon)...])
        else { return nil }
        let host = address[..<colon].dropFirst("tcp://".count)
        return (host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : String(host), port)
    }
}

/// Which events a destination is told of. `clear` is always among them: without it a consumer could not keep the set.
public struct DestinationFilter: Hashable, Sendable {
    /// Each stands for itself and all domains beneath it; nil for all domains.
    public let domains: [DomainName]?
    /// Nil for all types.
    public let types: Set<EventType>?

    public static let everything = DestinationFilter()

    public init(domains: [DomainName]? = nil, types: Set<EventType>? = nil) {
        self.domains = domains
        self.types = types
    }

    public func includes(_ domain: DomainName) -> Bool {
        domains.map { $0.contains { domain.isWithin($0) } } ?? true
    }

    public func includes(_ change: LogEntry.Change) -> Bool {
        guard let types, let type = EventType(change) else { return true }
        return types.contains(type)
    }
}
