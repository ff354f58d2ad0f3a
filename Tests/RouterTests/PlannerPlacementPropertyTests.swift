import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Router

/// Placement under random layouts, failures, returns and wishes, with balance.
@Suite struct PlannerPlacementPropertyTests {
    private struct World {
        let layout: ClusterLayout
        let replicas: Int
        let nodes: [ClusterLayout.Node]
        var incarnations: [UInt64]
        var isUp: [Bool]

        init(_ random: inout SplitMix64, domains: Int) {
            let count = Int.random(in: 2...6, using: &random)
            nodes = (0..<count).map { index in
                ClusterLayout.Node(
                    name: NodeName("sr\(index)"), role: .sr, site: "site\(index % 2)", server: "server\(index % 4)",
                    order: random.chance(75) ? 1 : 2, weight: Int.random(in: 1...3, using: &random))
            }
            let replicas = Int.random(in: 1...3, using: &random)
            self.replicas = replicas
            layout = ClusterLayout(
                nodes: nodes,
                domains: (0..<domains).map { .init(name: domain("d\(100 + $0).example"), replicas: replicas) },
                pace: .init(movingDomains: Int.random(in: 1...8, using: &random), rebalanceAfter: .zero))
            incarnations = nodes.map { _ in 1 }
            isUp = nodes.map { _ in true }
        }

        var alive: [NodeID] { nodes.indices.filter { isUp[$0] }.map(life) }
        func life(_ index: Int) -> NodeID { NodeID(name: nodes[index].name, incarnation: incarnations[index]) }
    }

    /// Of facts that no history need have led to.
    @Test(arguments: 1...500) func aPlanThatIsCarriedOutLeavesNothingToChange(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var world = World(&random, domains: 40)
        for index in world.nodes.indices { world.isUp[index] = random.chance(80) }
        var scene = Scene(world.layout, alive: world.alive, presence: 60_000)
        let lives = world.nodes.indices.map { world.life($0) }
        // How much of everything there is differs from one seed to the next, so that no limit hides another.
        let (inSync, strange) = (random.chance(50) ? 98 : 70, random.chance(50) ? 2 : 15)
        let favourite = random.chance(60) ? lives.first : nil
        for spec in world.layout.domains where random.chance(100 - strange) {
            var members = lives.shuffled(using: &random)[...]
            if let favourite, random.chance(80) {
                members.removeAll { $0 == favourite }
                members.insert(favourite, at: members.startIndex)
            }
            members = members.prefix(Int.random(in: 1...4, using: &random))
            if random.chance(strange), let first = members.popFirst() {
                members.insert(NodeID(name: first.name, incarnation: 0), at: members.startIndex)
            }
            guard let owner = members.popFirst() else { continue }
            let assignment = assignment(
                spec.name.rawValue, epoch: .random(in: 1...3, using: &random),
                revision: UInt64(scene.assignments.count + 1), owner: owner,
                standbys: members.map { standby($0, inSync: random.chance(inSync)) })
            scene.assignments.append(assignment)
            if random.chance(30) { scene.lostSince[spec.name] = at(-60_000) }
            if random.chance(30), let chosen = lives.randomElement(using: &random) {
                scene.successors[spec.name] = chosen
            }
            for node in members where random.chance(strange) {
                let kind = [ReplicaChange.Kind.add, .remove, .handOver].randomElement(using: &random) ?? .add
                scene.requests[spec.name, default: []].append(scene.request(kind, node, of: assignment))
            }
            if random.chance(strange / 5), let target = lives.randomElement(using: &random) {
                scene.wishes.move(spec.name, to: target.name)
            }
        }
        if random.chance(40), let drained = lives.randomElement(using: &random) { scene.wishes.drain(drained.name) }
        let plan = scene.plan()
        scene.carryOut(plan)
        scene.requests = [:]
        // Once new owners are heard, the only other copies go.
        if !plan.droppable.isEmpty { scene.carryOut(scene.plan()) }
        #expect(scene.plan().changes == [], "seed \(seed)")
    }

    @Test(arguments: 1...15) func placementKeepsItsPromises(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var world = World(&random, domains: 60)
        var assignments: [Assignment] = []
        for _ in 0..<10 {
            let changed = Int.random(in: 0..<world.nodes.count, using: &random)
            if !world.isUp[changed] || world.isUp.count(where: \.self) > 2 { world.isUp[changed].toggle() }
            if world.isUp[changed] { world.incarnations[changed] += 1 }
            var scene = Scene(world.layout, alive: world.alive, presence: 60_000)
            scene.assignments = assignments
            if random.chance(30), let drained = world.alive.randomElement(using: &random), world.alive.count > 1 {
                scene.wishes.drain(drained.name)
            }
            scene.lostSince = Dictionary(uniqueKeysWithValues: assignments.map { ($0.domain, at(-60_000)) })
            let settled = scene.settleAll()
            #expect(settled.isQuiet, "seed \(seed): it never comes to rest")
            if scene.wishes.isEmpty {
                #expect(settled.mostMovements <= world.layout.pace.movingDomains, "seed \(seed)")
            }
            check(scene, world, "seed \(seed)")
            assignments = scene.assignments
        }
    }

    private func check(_ scene: Scene, _ world: World, _ comment: Comment) {
        let alive = world.alive
        let open = world.nodes.filter { node in
            alive.contains { $0.name == node.name } && !scene.wishes.isDrained(node.name)
        }
        for assignment in scene.assignments {
            guard let owner = assignment.owner, let place = open.first(where: { $0.name == owner.name }) else {
                Issue.record("\(assignment.domain) has no living owner; \(comment)")
                continue
            }
            #expect(assignment.standbys.count == min(world.replicas, open.count) - 1, comment)
            #expect(assignment.standbys.allSatisfy { $0.inSync && alive.contains($0.node) }, comment)
            let servers = assignment.standbys.compactMap { standby in
                open.first { $0.name == standby.node.name }?.server
            }
            if world.replicas > 1, open.contains(where: { $0.server != place.server }) {
                #expect(servers.contains { $0 != place.server }, "all copies on one server; \(comment)")
            }
        }
        checkShares(scene, open, comment)
    }

    private func checkShares(_ scene: Scene, _ open: [ClusterLayout.Node], _ comment: Comment) {
        let order = open.map(\.order).min()
        let peers = open.filter { $0.order == order }
        let weights = peers.reduce(0) { $0 + $1.weight }
        for node in open where node.order != order {
            #expect(scene.owned(node.name) == 0, "\(node.name) still stands in; \(comment)")
        }
        guard peers.contains(where: { scene.owned($0.name) > (60 * $0.weight + weights - 1) / weights }) else { return }
        for node in peers {
            let share = 60 * node.weight / weights
            #expect(scene.owned(node.name) >= share - max(1, share / 10), "\(node.name) lacks its share; \(comment)")
        }
    }
}
