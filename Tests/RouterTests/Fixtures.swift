import ClusterRuntime
import RegistrarEvents

@testable import Router

/// A moment so many milliseconds after the tests' beginning of time.
func at(_ milliseconds: Int64) -> Moment {
    Moment(
        monotonic: MonotonicInstant(nanoseconds: (1_000_000 + milliseconds) * 1_000_000),
        wall: 1_700_000_000_000 + milliseconds)
}

func life(_ name: String, _ incarnation: UInt64 = 1) -> NodeID {
    NodeID(name: NodeName(name), incarnation: incarnation)
}

func domain(_ name: String) -> DomainName {
    guard let domain = DomainName(name) else { preconditionFailure("\(name) is no domain's name") }
    return domain
}

func heartbeat(
    _ role: NodeRole = .sr, revision: UInt64 = 0, sentAt: Int64 = 0, isJournalWritable: Bool = true
) -> Heartbeat {
    Heartbeat(
        role: role, sentAt: sentAt, revision: revision, pid: 1, uptimeMilliseconds: 0,
        isJournalWritable: isJournalWritable)
}

func standby(_ node: NodeID, inSync: Bool = true) -> Assignment.Standby {
    Assignment.Standby(node: node, inSync: inSync)
}

func assignment(
    _ name: String = "d.example", epoch: UInt64 = 1, revision: UInt64 = 1, owner: NodeID?,
    standbys: [Assignment.Standby] = []
) -> Assignment {
    Assignment(
        domain: domain(name), epoch: epoch, revision: revision, owner: owner, standbys: standbys, cause: .restart,
        since: 0)
}

func copy(
    _ epoch: UInt64, _ seq: UInt64, of name: String = "d.example", complete: Bool = true, users: UInt64 = 0
) -> CopyReport {
    CopyReport(
        domain: domain(name), position: Position(epoch: epoch, seq: seq), complete: complete, users: users,
        sipusers: 0, digest: 0)
}

func layout(
    routers: [String] = ["router1", "router2"], sr: [(name: String, server: String)],
    domains: [String] = ["d.example"], replicas: Int = 2
) -> ClusterLayout {
    ClusterLayout(
        nodes: routers.enumerated().map {
            ClusterLayout.Node(name: NodeName($1), role: .router, site: "main", server: "r", order: $0 + 1)
        }
            + sr.map {
                ClusterLayout.Node(name: NodeName($0.name), role: .sr, site: "main", server: $0.server)
            },
        domains: domains.map { ClusterLayout.Domain(name: domain($0), replicas: replicas) })
}

let threeServers = layout(sr: [("sr1", "a"), ("sr2", "b"), ("sr3", "c")])

extension GraceWait {
    /// Looked at all the while, with somebody there.
    init(at start: MonotonicInstant, until now: MonotonicInstant) {
        self.init(at: start)
        var time = start
        while time < now {
            look(isAnybodyThere: true, grace: Periods().restartGrace, at: time)
            time += .seconds(1)
        }
        look(isAnybodyThere: true, grace: Periods().restartGrace, at: now)
    }
}

/// What a planner is told, put together step by step.
struct Scene {
    let layout: ClusterLayout
    var membership: Membership
    var copies = CopyCatalogue()
    var assignments: [Assignment] = []
    var isSettled = true
    var requests: [DomainName: [Planner.ReplicaRequest]] = [:]
    /// For so long they have also waited for others than those who are there, but for `waits`.
    var lostSince: [DomainName: Moment] = [:]
    var waits: [DomainName: GraceWait]?
    /// Unless given, all owners have been heard since.
    var droppable: [DomainName: Planner.Droppable]?
    var wishes = MovementWishes()
    var successors: [DomainName: NodeID] = [:]
    var stuckFills: [NodeName: Int] = [:]
    var now = at(0)

    /// All of `alive` are up and have reported that they hold nothing; any other node is down.
    /// - Parameters:
    ///   - presence: for how long those alive have been up, in milliseconds.
    ///   - absence: for how long the others have been down; longer than the grace.
    init(_ layout: ClusterLayout = threeServers, alive: [NodeID], presence: Int64 = 0, absence: Int64 = 8_000) {
        self.layout = layout
        membership = Membership(layout, periods: Periods(), listeningFrom: at(-10_000).monotonic)
        _ = membership.sweep(at: at(-absence).monotonic)
        for node in alive {
            for time in [-presence, 0] { _ = membership.heard(heartbeat(), from: node, at: at(time).monotonic) }
            copies.take(CopyReports(reports: []), from: node)
        }
        _ = membership.sweep(at: now.monotonic)
    }

    /// The node has told for so many milliseconds that it cannot write its journal.
    mutating func cannotWrite(_ node: NodeID, for milliseconds: Int64 = 0) {
        canWrite(node)
        for time in [now.monotonic - .milliseconds(milliseconds), now.monotonic] {
            _ = membership.heard(heartbeat(isJournalWritable: false), from: node, at: time)
        }
    }

    mutating func canWrite(_ node: NodeID) { _ = membership.heard(heartbeat(), from: node, at: now.monotonic) }

    mutating func comesUp(_ node: NodeID) { canWrite(node) }
    mutating func goesDown(_ node: NodeID) { _ = membership.refused(node.name, at: now.monotonic) }

    mutating func holds(_ node: NodeID, _ reports: CopyReport...) {
        copies.take(CopyReports(reports: reports), from: node)
    }

    func plan() -> Planner.Plan {
        let revision = assignments.map(\.revision).max() ?? 0
        var facts = Planner.Facts(
            now: now, membership: membership, copies: copies,
            book: AssignmentBook(StoredAssignments(revision: revision, assignments: assignments)),
            isSettled: isSettled)
        facts.requests = requests
        facts.lostSince = lostSince
        facts.waits = waits ?? lostSince.mapValues { GraceWait(at: $0.monotonic, until: now.monotonic) }
        let owned = assignments.compactMap { assignment in
            assignment.owner.map { (assignment.domain, Planner.Droppable(owner: $0, since: .distantPast)) }
        }
        facts.droppable = droppable ?? Dictionary(uniqueKeysWithValues: owned)
        facts.wishes = wishes
        facts.successors = successors
        facts.stuckFills = stuckFills
        return Planner(layout, restartGrace: Periods().restartGrace).plan(facts)
    }

    /// Plans, and returns the first change's assignment with the revision left out.
    func next() -> Assignment? { plan().changes.first?.assignment }

    /// Carries a plan out as the coordinator would.
    mutating func carryOut(_ plan: Planner.Plan) {
        wishes = plan.wishes
        successors = Dictionary(uniqueKeysWithValues: plan.movements.map { ($0.domain, $0.successor) })
        var revision = assignments.map(\.revision).max() ?? 0
        let changed = Set(plan.changes.map(\.assignment.domain))
        assignments.removeAll { changed.contains($0.domain) }
        for change in plan.changes {
            revision += 1
            var assignment = change.assignment
            assignment.revision = revision
            assignments.append(assignment)
        }
    }

    /// Lets the owner bring its standbys in, and hand over when it is ordered to, until nothing changes any more.
    mutating func settle(rounds: Int = 10) {
        for _ in 0..<rounds {
            let wasAsked = requests.values.contains { !$0.isEmpty }
            let plan = self.plan()
            carryOut(plan)
            requests = [:]
            for current in assignments {
                var changes = current.standbys.filter { !$0.inSync }.map { (ReplicaChange.Kind.add, $0.node) }
                if let order = plan.movements.first(where: { $0.domain == current.domain })?.order,
                    order.revision == current.revision
                {
                    changes = [(.handOver, order.node)]
                }
                requests[current.domain] = changes.map { kind, node in
                    Planner.ReplicaRequest(
                        sender: current.owner ?? node,
                        change: ReplicaChange(
                            domain: current.domain, epoch: current.epoch, revision: current.revision, kind: kind,
                            node: node))
                }
            }
            let isAsked = requests.values.contains { !$0.isEmpty }
            if plan.changes.isEmpty, !wasAsked, !isAsked { return }
        }
    }
}

extension SplitMix64 {
    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }
}
