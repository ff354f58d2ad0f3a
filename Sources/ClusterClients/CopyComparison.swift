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
        /// All copies are whole, at one position, and the same.
        case same
        /// Two copies at one position differ, or a copy is ahead of its owner's log.
        case different
        /// Not all copies are at one position: nothing can be said of those that are behind.
        case moving
        /// No node says that it owns the domain.
        case noOwner = "no_owner"
    }

    package let domain: String
    package let result: Result
    package let copies: [DescribedCopy]

    package init(domain: String, copies: [DescribedCopy]) {
        self.domain = domain
        self.copies = copies.sorted { ($0.rank, $0.node ?? "") < ($1.rank, $1.node ?? "") }
        // A deposed owner that has not heard of it yet is one of an earlier epoch.
        let owner = copies.filter { $0.role == "owner" }.max { $0.epoch < $1.epoch }
        guard let owner else {
            result = .noOwner
            return
        }
        let whole = copies.filter { $0.complete && $0.epoch == owner.epoch }
        let byPosition = Dictionary(grouping: whole, by: \.seq)
        let agree = byPosition.values.allSatisfy { same in
            Set(same.map(\.digest)).count == 1 && Set(same.map(\.contacts)).count == 1
        }
        if !agree {
            result = .different
        } else {
            result = whole.count == copies.count && byPosition.count == 1 ? .same : .moving
        }
    }
}

extension DescribedCopy {
    fileprivate var rank: Int { ["owner", "standby", "follower"].firstIndex(of: role) ?? 3 }
}

extension ClusterClient {
    /// Asks every node that holds copies for what it holds.
    /// - Returns: the copies, and the nodes that did not say.
    package func copies() async -> (copies: [DescribedCopy], silent: [String]) {
        var copies: [DescribedCopy] = []
        var silent: [String] = []
        for node in topology.nodes(of: .sr) + topology.nodes(of: .wssubscr) {
            // A node that is down holds nothing that could differ; it is named instead.
            guard let answer = try? await get("/rest/v1/registrar/verify", from: node, timeout: .seconds(5)),
                answer.isOK, let described = try? JSONDecoder().decode([DescribedCopy].self, from: answer.body)
            else {
                silent.append(node.name.rawValue)
                continue
            }
            copies += described.map { copy in
                var copy = copy
                copy.node = node.name.rawValue
                return copy
            }
        }
        return (copies, silent)
    }
}
