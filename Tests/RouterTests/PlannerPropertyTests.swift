import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Router

/// The planner under random comings and goings of nodes.
@Suite struct PlannerPropertyTests {
    private let names = ["sr1", "sr2", "sr3", "sr4", "sr5"]

    @Test(arguments: 1...40) func itKeepsItsPromises(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let replicas = Int.random(in: 1...4, using: &random)
        let cluster = layout(
            sr: names.enumerated().map { ($1, "server\($0 / 2)") }, domains: (0..<12).map { "d\($0).example" },
            replicas: replicas)
        var incarnations: [UInt64] = Array(repeating: 1, count: names.count)
        var isUp = names.map { _ in true }
        var assignments: [Assignment] = []
        for _ in 0..<60 {
            let changed = Int.random(in: 0..<names.count, using: &random)
            isUp[changed].toggle()
            if isUp[changed] { incarnations[changed] += 1 }
            let alive = names.indices.filter { isUp[$0] }.map { life(names[$0], incarnations[$0]) }

            var scene = Scene(cluster, alive: alive)
            scene.assignments = assignments
            if random.chance(50) { scene.lostSince = overdue(assignments) }
            let full = alive.filter { _ in random.chance(15) }
            for node in full { scene.cannotWrite(node, for: random.chance(50) ? 0 : 60_000) }
            let plan = scene.plan()
            check(plan, against: assignments, alive: alive, full: full, "seed \(seed)")
            scene.carryOut(plan)
            #expect(scene.plan().changes == [], "seed \(seed): the plan was not enough")

            // The owners bring some of their standbys in.
            for assignment in scene.assignments where random.chance(70) {
                scene.requests[assignment.domain] = assignment.standbys.map { adding($0.node, to: assignment) }
            }
            scene.carryOut(scene.plan())
            scene.requests = [:]
            #expect(scene.plan().changes == [], "seed \(seed): the second plan was not enough")
            checkReplicas(scene, alive: alive, wanted: replicas, "seed \(seed)")
            assignments = scene.assignments
        }
    }

    private func overdue(_ assignments: [Assignment]) -> [DomainName: Moment] {
        Dictionary(uniqueKeysWithValues: assignments.map { ($0.domain, at(-60_000)) })
    }

    private func adding(_ node: NodeID, to assignment: Assignment) -> Planner.ReplicaRequest {
        Planner.ReplicaRequest(
            sender: assignment.owner ?? node,
            change: ReplicaChange(
                domain: assignment.domain, epoch: assignment.epoch, revision: assignment.revision, kind: .add,
                node: node))
    }

    private func check(
        _ plan: Planner.Plan, against before: [Assignment], alive: [NodeID], full: [NodeID], _ comment: Comment
    ) {
        #expect(Set(plan.changes.map(\.assignment.domain)).count == plan.changes.count, comment)
        for change in plan.changes {
            let next = change.assignment
            let old = before.first { $0.domain == next.domain }
            #expect(change.expected == old?.revision ?? 0, comment)
            #expect(Set(next.standbys.map(\.node.name)).count == next.standbys.count, comment)
            #expect(!next.standbys.contains { $0.node.name == next.owner?.name }, comment)
            guard let old else { continue }
            if next.owner == old.owner {
                #expect(next.epoch == old.epoch, comment)
                continue
            }
            #expect(next.epoch == old.epoch + 1, comment)
            #expect(!alive.contains { $0 == old.owner }, "a living owner was replaced; \(comment)")
            let promotable = old.inSync.filter(alive.contains)
            if !promotable.isEmpty {
                #expect(promotable.contains { $0 == next.owner }, comment)
                #expect(next.cause == .failover, comment)
                let able = promotable.filter { !full.contains($0) }
                #expect(able.isEmpty || able.contains { $0 == next.owner }, "its journal cannot be written; \(comment)")
            }
            #expect(next.inSync.allSatisfy(old.inSync.contains), comment)
        }
    }

    private func checkReplicas(_ scene: Scene, alive: [NodeID], wanted: Int, _ comment: Comment) {
        for assignment in scene.assignments {
            guard let owner = assignment.owner, alive.contains(owner) else { continue }
            #expect(assignment.standbys.count >= min(wanted, alive.count) - 1, comment)
            #expect(assignment.standbys.allSatisfy { alive.contains($0.node) }, comment)
        }
    }
}
