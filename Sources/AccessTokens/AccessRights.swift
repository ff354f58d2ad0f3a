public import ClusterRuntime
public import RegistrarEvents

/// What somebody may see and do: of which domains, and how much of them.
///
/// Everything is asked of it and nothing is allowed by being left out of a question: whoever shows or changes something
/// of a domain asks for the domain, the class of what is shown, the account that it is about, and the capability.
public struct AccessRights: Hashable, Sendable {
    /// The domain; nil for all domains of the cluster.
    public let domain: DomainName?
    /// Whether what is beneath the domain belongs to it.
    public let includesSubtree: Bool
    public let classes: Set<EventClass>
    /// Account ids, in order and each once; nil for all accounts.
    public let accounts: [String]?
    public let capabilities: Set<AccessCapability>

    /// What is left out is not limited.
    public init(
        domain: DomainName?, includesSubtree: Bool = false, classes: Set<EventClass> = Set(EventClass.allCases),
        accounts: [String]? = nil, capabilities: Set<AccessCapability> = Set(AccessCapability.allCases)
    ) {
        self.domain = domain
        self.includesSubtree = includesSubtree
        self.classes = classes
        self.accounts = accounts.map { Set($0.map(ExactText.init)).sorted().map(\.string) }
        self.capabilities = capabilities
    }

    public func include(_ wanted: DomainName) -> Bool {
        guard let domain else { return true }
        return includesSubtree ? wanted.isWithin(domain) : wanted == domain
    }

    public func include(_ wanted: EventClass) -> Bool { classes.contains(wanted) }

    public func include(_ wanted: AccessCapability) -> Bool { capabilities.contains(wanted) }

    /// Byte by byte: names that only look alike are other accounts.
    public func include(account: String) -> Bool {
        accounts.map { $0.contains { $0.utf8.elementsEqual(account.utf8) } } ?? true
    }
}
