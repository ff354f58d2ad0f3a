import ClusterRuntime
import Foundation

/// A copy of a domain's list as the node that holds it describes it at `/rest/v1/registrar/verify`.
package struct DescribedCopy: Codable, Hashable, Sendable {
    package struct Contacts: Codable, Hashable, Sendable {
        package var user: UInt64
        package var sipuser: UInt64

        package init(user: UInt64, sipuser: UInt64) {
            self.user = user
            self.sipuser = sipuser
        }
    }

    package var domain: String
    /// `owner`, `standby` or `follower`.
    package var role: String
    package var epoch: UInt64
    package var seq: UInt64
    /// Whether it is whole; a copy that is being filled says nothing yet.
    package var complete: Bool
    package var contacts: Contacts
    /// In hex, over all contacts.
    package var digest: String
    /// The node it is at; filled in by whoever asked.
    package var node: String?

    package init(
        domain: String, role: String, epoch: UInt64, seq: UInt64, complete: Bool = true, contacts: Contacts,
        digest: String, node: String?
    ) {
        self.domain = domain
        self.role = role
        self.epoch = epoch
        self.seq = seq
        self.complete = complete
        self.contacts = contacts
        self.digest = digest
        self.node = node
    }
}

/// What comparing all copies of one domain gave.
package struct CopyComparison: Codable, Hashable, Sendable {
    package enum Result: String, Codable, Sendable {
        /// All copies are whole, and each was the same as its owner's at one position.
        case same
        /// Two copies at one position differ.
        case different
        /// Some copy was not met at a position of its owner: nothing can be said of it.
        case moving
        /// What was compared is the same, but a node that should have a copy did not say what it has.
        case partial
        /// No node says that it owns the domain.
        case noOwner = "no_owner"
    }

    package let domain: String
    package let result: Result
    /// Whether looking again would not change it.
    package var isSettled: Bool { result == .same || result == .different }
    package let copies: [DescribedCopy]

    /// - Parameters:
    ///   - copies: as they are now.
    ///   - earlier: as they were at each look before, the latest last. Under traffic all copies may never be at one
    ///     position at one time: it is enough that each was seen once where its owner was seen, at the same look or
    ///     the one beside it. Later than that it would be one that lags.
    ///   - holders: the nodes without whose copies nothing is said to be the same.
    package init(
        domain: String, copies: [DescribedCopy], earlier: [[DescribedCopy]] = [], holders: Set<String> = []
    ) {
        self.domain = domain
        self.copies = copies.sorted { ($0.rank, $0.node ?? "") < ($1.rank, $1.node ?? "") }
        // A deposed owner that has not heard of it yet is one of an earlier epoch.
        let owner = copies.filter { $0.role == "owner" }.max { $0.epoch < $1.epoch }
        guard let owner else {
            result = .noOwner
            return
        }
        let looks = (earlier + [copies]).map { look in look.filter { $0.isWhole(in: owner.epoch) } }
        let agree = Dictionary(grouping: looks.joined(), by: \.seq).values.allSatisfy { same in
            Set(same.map(\.digest)).count == 1 && Set(same.map(\.contacts)).count == 1
        }
        guard agree else {
            result = .different
            return
        }
        let met = Self.met(looks)
        guard copies.allSatisfy({ $0.isWhole(in: owner.epoch) && met.contains($0.node) }) else {
            result = .moving
            return
        }
        result = holders.isSubset(of: copies.compactMap(\.node)) ? .same : .partial
    }

    /// The nodes whose copies were seen where their owner was.
    private static func met(_ looks: [[DescribedCopy]]) -> Set<String?> {
        var met: Set<String?> = []
        for (index, look) in looks.enumerated() {
            let near = looks[max(0, index - 1)...min(index + 1, looks.count - 1)].joined()
            let positions = Set(near.filter { $0.role == "owner" }.map(\.seq))
            for copy in look where positions.contains(copy.seq) { met.insert(copy.node) }
        }
        return met
    }
}

extension DescribedCopy {
    fileprivate func isWhole(in epoch: UInt64) -> Bool { complete && self.epoch == epoch }

    fileprivate var rank: Int { ["owner", "standby", "follower"].firstIndex(of: role) ?? 3 }
}

extension ClusterClient {
    /// Asks every node that holds copies for what it holds, all at one time.
    /// - Returns: the copies, and the nodes that did not say.
    package func copies() async -> (copies: [DescribedCopy], silent: [String]) {
        let nodes = topology.nodes(of: .sr) + topology.nodes(of: .wssubscr)
        let held = await withTaskGroup(of: (Int, [DescribedCopy]?).self) { group in
            for (index, node) in nodes.enumerated() { group.addTask { (index, await self.copies(at: node)) } }
            return await group.reduce(into: Array(repeating: nil as [DescribedCopy]?, count: nodes.count)) {
                $0[$1.0] = $1.1
            }
        }
        let silent = zip(nodes, held).filter { $0.1 == nil }.map(\.0.name.rawValue)
        return (held.compactMap(\.self).flatMap(\.self), silent)
    }

    /// Looks again and again until the copies of each domain have been compared: each verdict is a difference at once,
    /// sameness as soon as it was seen, otherwise what the last look gave.
    /// - Returns: one comparison a domain, in the order given, and the nodes that did not answer the last time.
    /// - Throws: `CancellationError`.
    package func compareCopies(
        of domains: [String], within patience: Duration, every interval: Duration = .milliseconds(50)
    ) async throws -> (comparisons: [CopyComparison], silent: [String]) {
        let deadline = SystemClock.monotonic() + patience
        var found: [String: CopyComparison] = [:]
        // Of those that are not settled: what was seen of them.
        var seen: [String: [[DescribedCopy]]] = [:]
        while true {
            let holders = Self.holders(await status())
            let (copies, silent) = await copies()
            // Without a router that leads nobody knows what a silent node has.
            let unknown = Set(topology.nodes(of: .sr).map(\.name.rawValue)).intersection(silent)
            let byDomain = Dictionary(grouping: copies, by: \.domain)
            for domain in domains where found[domain].map({ !$0.isSettled }) ?? true {
                let now = byDomain[domain] ?? []
                let comparison = CopyComparison(
                    domain: domain, copies: now, earlier: seen[domain] ?? [], holders: holders?[domain] ?? unknown)
                found[domain] = comparison
                seen[domain] = comparison.isSettled ? nil : (seen[domain] ?? []) + [now]
            }
            guard found.values.contains(where: { !$0.isSettled }), SystemClock.monotonic() < deadline else {
                return (domains.compactMap { found[$0] }, silent)
            }
            try await Task.sleep(for: interval)
        }
    }

    /// Who has each domain in sync; nil while no router leads.
    private static func holders(_ status: ClusterStatus?) -> [String: Set<String>]? {
        guard let status, status.routers.contains(where: { $0.state == .active }) else { return nil }
        let holders = status.domains.map { domain in
            (domain.name, Set(domain.standbys.filter(\.inSync).map(\.name) + [domain.owner].compactMap(\.self)))
        }
        return Dictionary(holders) { first, _ in first }
    }

    /// Nil when it does not say: a node that is down holds nothing that could differ, and is named instead.
    private func copies(at node: NodeSpec) async -> [DescribedCopy]? {
        // Why it does not say is for the node's own log.
        guard let answer = try? await get("/rest/v1/registrar/verify", from: node, timeout: .seconds(5)),
            answer.isOK,
            // An answer of a later version that cannot be read says nothing either.
            let described = try? JSONDecoder().decode([DescribedCopy].self, from: answer.body)
        else { return nil }
        return described.map { copy in
            var copy = copy
            copy.node = node.name.rawValue
            return copy
        }
    }
}
