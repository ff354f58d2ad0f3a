import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Router

/// Groups, pins and the comings and goings of nodes, by chance.
@Suite struct GroupPropertyTests {
    private let names = ["sr1", "sr2", "sr3", "sr4", "sr5", "sr6"]

    @Test(arguments: 1...25) func domainsEndWhereTheyBelongAndMoveNoMoreThanThatTakes(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var cluster = drawn(&random)
        var alive = names.map { life($0) }
        var assignments: [Assignment] = []
        for step in 0..<12 {
            let comment: Comment = "seed \(seed), step \(step)"
            if random.chance(25) { cluster = drawn(&random) }
            var scene = Scene(cluster, alive: alive)
            scene.assignments = assignments
            scene.now = at(60_000)
            scene.lostSince = Dictionary(uniqueKeysWithValues: assignments.map { ($0.domain, at(-60_000)) })
            scene.settle(rounds: 40)
            #expect(scene.plan().changes == [], comment)
            #expect(scene.plan().movements == [], comment)
            check(scene, cluster, alive, comment)
            // Nothing moves that is where it belongs.
            for former in assignments {
                guard let owner = former.owner, alive.contains(owner), belongs(former, cluster, alive) else { continue }
                #expect(scene.assignments.first { $0.domain == former.domain }?.owner == owner, comment)
            }
            assignments = scene.assignments
            // One at most is away at a time, and has lost nothing when it comes back.
            let place = Int.random(in: 0..<names.count, using: &random)
            alive = names.enumerated().map { index, name in
                let former = alive.first { $0.name.rawValue == name } ?? life(name, UInt64(step + 2))
                return index == place ? life(name, UInt64(step + 2)) : former
            }
            if random.chance(50) { alive.remove(at: place) }
        }
    }

    private func drawn(_ random: inout SplitMix64) -> ClusterLayout {
        let isGrouped = random.chance(70)
        let nodes = names.enumerated().map { index, name in
            ClusterLayout.Node(
                name: NodeName(name), role: .sr, site: "site\(index % 2)", server: "server\(index)",
                order: Int.random(in: 1...2, using: &random), group: isGrouped && index < 3 ? "one" : nil)
        }
        let domains = (0..<10).map { number in
            let group = isGrouped && random.chance(50) ? "one" : nil
            let able = nodes.filter { $0.group == group }.map(\.name)
            let pin = random.chance(50) ? Array(able.shuffled(using: &random).prefix(2)) : []
            return ClusterLayout.Domain(
                name: domain("d\(number).example"), replicas: Int.random(in: 1...3, using: &random), group: group,
                pin: pin, needsOtherSite: random.chance(30))
        }
        return ClusterLayout(nodes: nodes, domains: domains)
    }

    /// Whether a living owner need not give the domain away.
    private func belongs(_ assignment: Assignment, _ cluster: ClusterLayout, _ alive: [NodeID]) -> Bool {
        guard let domain = cluster.domains.first(where: { $0.name == assignment.domain }),
            let owner = assignment.owner?.name
        else { return false }
        let able = cluster.nodes.filter { $0.group == domain.group }.map(\.name)
        let first = domain.pin.first { pin in alive.contains { $0.name == pin } }
        return able.contains(owner) && (first == nil || first == owner)
    }

    private func check(_ scene: Scene, _ cluster: ClusterLayout, _ alive: [NodeID], _ comment: Comment) {
        for domain in cluster.domains {
            guard let found = scene.assignments.first(where: { $0.domain == domain.name }), let owner = found.owner
            else {
                Issue.record("\(domain.name) has no owner; \(comment)")
                continue
            }
            let able = cluster.nodes.filter { $0.group == domain.group }
            let living = able.filter { node in alive.contains { $0.name == node.name } }
            #expect(living.contains { $0.name == owner.name }, "\(domain.name) is with another group; \(comment)")
            #expect(belongs(found, cluster, alive), "\(domain.name) is not where it is pinned to; \(comment)")
            let others = living.filter { $0.name != owner.name }
            let wanted = min(domain.replicas - 1, others.count)
            let own = found.inSync.filter { standby in others.contains { $0.name == standby.name } }
            #expect(own.count == wanted, comment)
            // Copies at other nodes are kept while those that are to have them are not there.
            #expect(found.standbys.count == own.count || wanted < domain.replicas - 1, comment)
            #expect(found.standbys.count < domain.replicas, comment)
            let site = able.first { $0.name == owner.name }?.site
            if domain.needsOtherSite, domain.replicas > 1, others.contains(where: { $0.site != site }) {
                let sites = found.standbys.compactMap { standby in able.first { $0.name == standby.node.name }?.site }
                #expect(sites.contains { $0 != site }, comment)
            }
        }
    }
}
