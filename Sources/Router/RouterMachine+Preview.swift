public import ClusterRuntime
import RegistrarEvents

/// What would become of the domains if another topology were activated. Nothing is changed by it.
///
/// The planner itself is asked, round by round, as if what it wishes came true at once and nodes that join were up;
/// those that leave are drained first, as they will be. Nodes that lack their share get it, as if they had been there
/// for long.
extension RouterMachine {
    /// Rounds at most. A few are enough, since in each everything moves that can.
    private static let previewRounds = 100

    /// By domain name; nil unless this router leads.
    /// - Parameter new: the layout of the other topology.
    public func preview(of new: ClusterLayout, at now: Moment) -> [PlannedMovement]? {
        guard let leadership, let book = leadership.book else { return nil }
        let kept = Set(new.nodes.map(\.name))
        let leaving = layout.nodes(of: .sr).filter { !kept.contains($0.name) }
        var facts = Planner.Facts(now: now, membership: membership, copies: copies, book: book, isSettled: true)
        facts.lostSince = leadership.lostSince
        facts.wishes = wishes
        // Whatever is to come in the end.
        facts.isPatient = false
        for node in leaving { facts.wishes.drain(node.name) }
        if !leaving.isEmpty { Self.settle(&facts, planner.layout) }
        // Those that nobody of their groups can take over from are there until others have what they serve.
        let between = ClusterLayout(nodes: new.nodes + leaving, domains: new.domains, sites: new.sites, pace: new.pace)
        facts.membership.change(to: between)
        for node in new.nodes(of: .sr) where !layout.nodes.contains(where: { $0.name == node.name }) {
            let life = NodeID(name: node.name, incarnation: 1)
            let heartbeat = Heartbeat(
                role: .sr, sentAt: 0, revision: facts.book.revision, pid: 0, uptimeMilliseconds: 0)
            _ = facts.membership.heard(heartbeat, from: life, at: now.monotonic)
            facts.copies.take(CopyReports(reports: []), from: life)
        }
        if !leaving.isEmpty { Self.settle(&facts, between) }
        facts.membership.change(to: new)
        Self.settle(&facts, new)
        return movements(to: new, from: book, by: facts.book)
    }

    /// Lets plans come true until nothing is left to plan.
    private static func settle(_ facts: inout Planner.Facts, _ layout: ClusterLayout) {
        let planner = Planner(layout.paced(layout.pace.atOnce), restartGrace: .zero)
        for _ in 0..<previewRounds {
            let plan = planner.plan(facts)
            for change in plan.changes { take(change.assignment, &facts) }
            let changed = Set(plan.changes.map(\.assignment.domain))
            let ready = plan.movements.filter { movement in
                !changed.contains(movement.domain)
                    && facts.book[movement.domain]?.inSync.contains(movement.successor) == true
            }
            guard !plan.changes.isEmpty || !ready.isEmpty else { return }
            for movement in ready {
                guard var moved = facts.book[movement.domain] else { continue }
                moved.standbys.removeAll { $0.node == movement.successor }
                moved.standbys.append(Assignment.Standby(node: movement.owner, inSync: true))
                moved.owner = movement.successor
                moved.epoch += 1
                take(moved, &facts)
            }
            facts.wishes = plan.wishes
            facts.successors = Dictionary(uniqueKeysWithValues: plan.movements.map { ($0.domain, $0.successor) })
        }
    }

    private static func take(_ assignment: Assignment, _ facts: inout Planner.Facts) {
        var assignment = assignment
        assignment.revision = facts.book.revision + 1
        for index in assignment.standbys.indices { assignment.standbys[index].inSync = true }
        facts.book.take(assignment)
    }

    private func movements(
        to new: ClusterLayout, from before: AssignmentBook, by after: AssignmentBook
    ) -> [PlannedMovement] {
        let kept = Set(new.domains.map(\.name))
        var found = layout.domains.filter { !kept.contains($0.name) }.map { domain in
            PlannedMovement(
                domain: domain.name.rawValue, part: .owner, from: before[domain.name]?.owner?.name.rawValue, to: nil,
                why: "the domain is removed: its registrations end")
        }
        for domain in new.domains {
            let (old, next) = (before[domain.name], after[domain.name])
            let (was, will) = (old?.owner?.name, next?.owner?.name)
            if was != will {
                found.append(
                    PlannedMovement(
                        domain: domain.name.rawValue, part: .owner, from: was?.rawValue, to: will?.rawValue,
                        why: why(domain, old, from: was, to: will, isOwner: true, new)))
            }
            let (had, has) = (Set(names(old)), Set(names(next)))
            let lost = names(old).filter { !has.contains($0) }
            let won = names(next).filter { !had.contains($0) }
            for index in 0..<max(lost.count, won.count) {
                let (from, to) = (index < lost.count ? lost[index] : nil, index < won.count ? won[index] : nil)
                found.append(
                    PlannedMovement(
                        domain: domain.name.rawValue, part: .standby, from: from?.rawValue, to: to?.rawValue,
                        why: why(domain, old, from: from, to: to, isOwner: false, new)))
            }
        }
        return found.sorted { ($0.domain, $0.part.rawValue) < ($1.domain, $1.part.rawValue) }
    }

    private func names(_ assignment: Assignment?) -> [NodeName] {
        (assignment?.standbys ?? []).map(\.node.name).sorted()
    }

    private func why(
        _ domain: ClusterLayout.Domain, _ old: Assignment?, from: NodeName?, to: NodeName?, isOwner: Bool,
        _ new: ClusterLayout
    ) -> String {
        if old.map(\.isRetired) ?? true { return "the domain is added" }
        if let from, !new.nodes.contains(where: { $0.name == from }) { return "\(from) is removed" }
        if let to, !layout.nodes.contains(where: { $0.name == to }) {
            return "\(to) is added, and " + (isOwner ? "gets its share" : "comes before in rank")
        }
        if let from, let move = placementChange(domain, away: from, new) { return move }
        let replicas = layout.domains.first { $0.name == domain.name }?.replicas
        if let replicas, replicas != domain.replicas { return "replicas \(replicas) -> \(domain.replicas)" }
        return "the nodes come in another rank, have not their shares, or one of them is down or drained"
    }

    /// Whether the topology itself has the domain leave a node.
    private func placementChange(
        _ domain: ClusterLayout.Domain, away from: NodeName, _ new: ClusterLayout
    ) -> String? {
        let former = layout.domains.first { $0.name == domain.name }
        if new.nodes.first(where: { $0.name == from })?.group != domain.group { return Self.servers(of: domain) }
        guard let former, former.pin != domain.pin else { return nil }
        return domain.pin.isEmpty
            ? "it is pinned no more" : "it is pinned to \(domain.pin.map(\.rawValue).joined(separator: ", "))"
    }
}
