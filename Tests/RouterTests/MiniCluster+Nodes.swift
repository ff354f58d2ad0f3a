import ClusterRuntime
import RegistrarEvents

@testable import Router

/// A coarse model of what owners and standbys do, just enough to tell when a write would be acknowledged.
extension MiniCluster {
    mutating func carryOut(_ directives: [NodeAgent.Directive], of name: NodeName) {
        guard let life = nodes[name]?.agent.node else { return }
        for directive in directives {
            switch directive {
            case .send(let message, let peer): send(.message(message, from: life), from: name, to: peer)
            case .lease, .topology: break
            case .assigned(let assignments):
                for assignment in assignments where assignment.owner == life { begin(assignment, on: name) }
            }
        }
    }

    /// The new owner goes on from its copy, or from nothing.
    private mutating func begin(_ assignment: Assignment, on name: NodeName) {
        let held = disks[name]?[assignment.domain]
        guard (held?.position.epoch ?? 0) < assignment.epoch else { return }
        let writes = held.map { $0.isComplete ? $0.writes : 0 } ?? 0
        let position = Position(epoch: assignment.epoch, seq: 1)
        disks[name, default: [:]][assignment.domain] = Copy(position: position, writes: writes, isComplete: true)
        acknowledged[assignment.domain] = min(acknowledged[assignment.domain] ?? 0, writes)
    }

    /// One turn of a node: copy to standbys, ask for changes of the in-sync set, write, report.
    mutating func serve(_ name: NodeName) {
        guard let agent = nodes[name]?.agent else { return }
        for assignment in agent.table.all where assignment.owner == agent.node { serve(assignment, on: name) }
        guard time >= nodes[name]?.nextReport ?? 0 else { return }
        nodes[name]?.nextReport = time + 1000
        let held = disks[name] ?? [:]
        let reports = held.keys.sorted().compactMap { domain in
            held[domain].map {
                CopyReport(
                    domain: domain, position: $0.position, complete: $0.isComplete, users: UInt64($0.writes),
                    sipusers: 0, digest: 0, revision: agent.table[domain]?.revision ?? 0,
                    isOwner: agent.table[domain].map {
                        $0.owner == agent.node && $0.epoch == held[domain]?.position.epoch
                    } ?? false)
            }
        }
        for router in layout.routers {
            send(.message(.copies(CopyReports(reports: reports)), from: agent.node), from: name, to: router)
        }
    }

    private mutating func serve(_ assignment: Assignment, on name: NodeName) {
        let domain = assignment.domain
        guard let own = disks[name]?[domain], own.position.epoch == assignment.epoch else { return }
        var asked = nodes[name]?.asked[domain].flatMap { $0.revision == assignment.revision ? $0.nodes : nil } ?? []
        for standby in assignment.standbys {
            let answers = follows(standby.node, assignment, on: name)
            if !standby.inSync, answers {
                disks[standby.node.name, default: [:]][domain] = own
                if !asked.contains(standby.node) { asked.append(standby.node) }
                ask(.add, standby.node, assignment, on: name)
            } else if !answers, standby.inSync || asked.contains(standby.node) {
                ask(.remove, standby.node, assignment, on: name)
            }
        }
        nodes[name]?.asked[domain] = (assignment.revision, asked)
        write(assignment, waitingFor: assignment.inSync + asked, on: name)
    }

    /// Whether a standby would acknowledge to this owner now.
    private func follows(_ standby: NodeID, _ assignment: Assignment, on owner: NodeName) -> Bool {
        guard let process = nodes[standby.name], process.agent.node == standby, !process.isPaused,
            !cut.contains(standby.name), !cut.contains(owner)
        else { return false }
        let known = process.agent.table[assignment.domain]?.epoch ?? 0
        let held = disks[standby.name]?[assignment.domain]?.position.epoch ?? 0
        return known <= assignment.epoch && held <= assignment.epoch
    }

    /// An owner that is ordered to hand over says at once that nothing is under way.
    mutating func handOver(_ order: HandOver, on name: NodeName) {
        guard let agent = nodes[name]?.agent, let assignment = agent.table[order.domain],
            assignment.owner == agent.node, assignment.revision == order.revision,
            follows(order.node, assignment, on: name)
        else { return }
        ask(.handOver, order.node, assignment, on: name)
    }

    private mutating func ask(
        _ kind: ReplicaChange.Kind, _ node: NodeID, _ assignment: Assignment, on name: NodeName
    ) {
        guard let owner = assignment.owner else { return }
        let change = ReplicaChange(
            domain: assignment.domain, epoch: assignment.epoch, revision: assignment.revision, kind: kind, node: node)
        for router in layout.routers { send(.message(.replicaChange(change), from: owner), from: name, to: router) }
    }

    private mutating func write(_ assignment: Assignment, waitingFor standbys: [NodeID], on name: NodeName) {
        guard var own = disks[name]?[assignment.domain], let process = nodes[name] else { return }
        if standbys.isEmpty {
            guard now.monotonic < process.agent.leaseUntil else { return }
            // The promise of the lease: nobody else owns the domain while a lone owner acknowledges.
            if let stored = coordinator.load().assignments.first(where: { $0.domain == assignment.domain }),
                stored.owner != process.agent.node
            {
                violations.append("\(time): \(process.agent.node) wrote alone, but \(stored.owner as Any) owns")
            }
        }
        guard standbys.allSatisfy({ follows($0, assignment, on: name) }) else { return }
        own.position.seq += 1
        own.writes += 1
        disks[name]?[assignment.domain] = own
        for standby in standbys { disks[standby.name]?[assignment.domain] = own }
        acknowledged[assignment.domain] = own.writes
    }

    /// What every store must keep: one owner an epoch, and nothing acknowledged is lost to a promotion.
    mutating func checkStore(from before: CoordinatorState) {
        stores += 1
        let old = before.load().assignments
        for new in coordinator.load().assignments {
            guard let previous = old.first(where: { $0.domain == new.domain }), new != previous else { continue }
            if new.epoch < previous.epoch { violations.append("\(time): epoch of \(new.domain) went backwards") }
            guard new.owner != previous.owner, let owner = new.owner else { continue }
            if new.epoch == previous.epoch { violations.append("\(time): two owners in epoch \(new.epoch)") }
            let members = (previous.owner.map { [$0] } ?? []) + previous.inSync
            guard members.contains(where: { $0.name == owner.name }),
                let held = disks[owner.name]?[new.domain], held.position.epoch == previous.epoch
            else { continue }
            if held.writes < acknowledged[new.domain] ?? 0 {
                violations.append("\(time): \(owner) took over \(new.domain) without the last writes")
            }
        }
    }

    mutating func checkLeaders() {
        let leaders = routers.keys.sorted().filter {
            !isPaused($0) && (routers[$0]?.machine.leadingTerm(at: now) ?? 0) > 0
        }
        if leaders.count > 1 { violations.append("\(time): \(leaders) lead at once") }
    }

    /// What is not yet as it should be when all nodes are well.
    var unrest: [String] {
        let stored = coordinator.load()
        let alive = nodes.values.map(\.agent.node)
        let isServing = alive.filter { !stored.wishes.isDrained($0.name) }
        return layout.domains.compactMap { domain in
            guard let found = coordinator.load().assignments.first(where: { $0.domain == domain.name }),
                let owner = found.owner
            else { return "\(domain.name) has no owner" }
            let wanted = min(domain.replicas, isServing.count) - 1
            let inSync = found.standbys.filter { $0.inSync && alive.contains($0.node) }
            if !alive.contains(owner) { return "\(domain.name) is owned by \(owner), which is gone" }
            if !isServing.contains(owner) { return "\(domain.name) is owned by \(owner), which is drained" }
            if stored.wishes.moves[domain.name] != nil { return "\(domain.name) has not been moved" }
            return inSync.count == wanted && found.standbys.count == wanted ? nil : "\(domain.name): \(found.standbys)"
        }
    }
}
