public import ClusterRuntime
public import RegistrarEvents

/// Keeps the copies of a node's domains over its restarts.
///
/// What `append` was given is out of the process when it returns, so it survives the process; it survives the machine
/// once synced, which happens in groups. Neither is what an acknowledgement rests on while a standby is in sync.
public protocol Journal: Sendable {
    /// Writes records of a domain, in order. Never throws: a journal that cannot write says so by `isWritable`.
    func append(_ records: [JournalRecord], of domain: DomainName)
    /// Whether everything appended has been written: false from a write that failed until all that is kept has been
    /// written anew. Meanwhile a lone owner does not acknowledge. Asked twice a turn, so it must not wait for a disk.
    var isWritable: Bool { get }
    /// The number of the generation that domains should be checkpointed into; grows when old records ought to go.
    var generation: UInt64 { get }
    /// The generation that what was restored is whole in. When the disk failed meanwhile, a later one asks for it anew.
    var firstGeneration: UInt64 { get }
    /// The domain has been written anew in this generation.
    func checkpointed(_ domain: DomainName, in generation: UInt64)
    /// The domain is no longer kept here.
    func forget(_ domain: DomainName)
}

/// A journal that keeps nothing: for nodes that have no disk, and for tests.
public struct NoJournal: Journal {
    public init() {}
    public func append(_ records: [JournalRecord], of domain: DomainName) {}
    public var isWritable: Bool { true }
    public var generation: UInt64 { 0 }
    public var firstGeneration: UInt64 { 0 }
    public func checkpointed(_ domain: DomainName, in generation: UInt64) {}
    public func forget(_ domain: DomainName) {}
}
