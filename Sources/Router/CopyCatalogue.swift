public import ClusterRuntime
public import RegistrarEvents

/// What every node last said it holds. Only the latest life of a node counts.
public struct CopyCatalogue: Sendable {
    private struct Holding: Sendable {
        var life: NodeID
        var reports: [DomainName: CopyReport]
    }

    /// Epochs beyond this are taken for a broken report: no cluster changes owners so often.
    private static let highestPlausibleEpoch: UInt64 = 1 << 48

    private var holdings: [NodeName: Holding] = [:]

    public init() {}

    public mutating func take(_ copies: CopyReports, from life: NodeID) {
        if let known = holdings[life.name], known.life.incarnation > life.incarnation { return }
        var reports: [DomainName: CopyReport] = [:]
        reports.reserveCapacity(copies.reports.count)
        for report in copies.reports where report.position.epoch <= Self.highestPlausibleEpoch {
            reports[report.domain] = report
        }
        holdings[life.name] = Holding(life: life, reports: reports)
    }

    /// Forgets what nodes hold that are not among these.
    mutating func keep(_ names: Set<NodeName>) { holdings = holdings.filter { names.contains($0.key) } }

    /// Whether this life has said what it holds.
    public func hasReported(_ life: NodeID) -> Bool { holdings[life.name]?.life == life }

    /// What this life holds of a domain; nil when nothing, or when it has not said yet.
    public func report(of domain: DomainName, by life: NodeID) -> CopyReport? {
        guard let holding = holdings[life.name], holding.life == life else { return nil }
        return holding.reports[domain]
    }

    /// Domains of which a node holds more than is stored: a later epoch, or by a later revision.
    func contradictions(of book: AssignmentBook) -> Set<DomainName> {
        holdings.values.reduce(into: []) { $0.formUnion(contradictions(of: book, by: $1.life)) }
    }

    func contradictions(of book: AssignmentBook, by life: NodeID) -> Set<DomainName> {
        guard let holding = holdings[life.name], holding.life == life else { return [] }
        var found: Set<DomainName> = []
        for (domain, report) in holding.reports {
            guard let stored = book[domain] else { continue }
            if report.position.epoch > stored.epoch || report.revision > stored.revision { found.insert(domain) }
        }
        return found
    }

    /// The highest epoch of which anybody holds anything.
    public func highestEpoch(of domain: DomainName) -> UInt64 {
        holdings.values.reduce(0) { max($0, $1.reports[domain]?.position.epoch ?? 0) }
    }
}
