package import ClusterRuntime
import Foundation

/// Restarts the nodes of a running cluster one after the other, so that nothing is lost or refused.
///
/// An `sr` node is drained before and undrained after. Each node is asked, at its own admin address, to end; whoever
/// started it starts it again. Before each step all nodes must be there and all copies in sync, so that there are never
/// two copies of a domain away. It ends with the first node that does not do as it should.
///
/// What it has drained is undrained by `release`, which is to be called in the end, however that came about.
package actor RollingRestart {
    package let topology: Topology
    private let client: ClusterClient
    private let only: Set<NodeName>?
    private let limit: Duration
    private let progress: @Sendable (String) -> Void
    private let onAway: @Sendable (NodeName, Bool) -> Void
    /// The node that this drained, and has not undrained yet.
    private var held: NodeName?
    /// Drained before it began, and left so.
    private var drainedBefore: Set<NodeName> = []
    private var start = MonotonicInstant.distantPast
    /// What was done so far.
    package private(set) var report = RestartReport()

    static let interval: Duration = .milliseconds(100)
    /// Looks in a row that must find the cluster ready: a status may be older than what was just done.
    static let looks = 3

    /// - Parameters:
    ///   - only: these nodes alone; nil for all.
    ///   - limit: how long each of a node's steps may take.
    ///   - progress: told what goes on.
    ///   - onAway: told when a node is about to be asked to end, and when it is back.
    package init(
        _ topology: Topology, _ client: ClusterClient, only: Set<NodeName>? = nil, limit: Duration,
        progress: @escaping @Sendable (String) -> Void,
        onAway: @escaping @Sendable (NodeName, Bool) -> Void = { _, _ in }
    ) {
        self.topology = topology
        self.client = client
        self.only = only
        self.limit = limit
        self.progress = progress
        self.onAway = onAway
    }

    /// Restarts them all. To be called once.
    /// - Throws: `RestartStopped` when it cannot begin or go on, `CancellationError` when cancelled.
    package func run() async throws {
        start = SystemClock.monotonic()
        defer { report.seconds = (SystemClock.monotonic() - start).inSeconds }
        do {
            let plan = try await begin()
            for (index, node) in plan.nodes.enumerated() {
                report.nodes.append(try await restart(node, "\(index + 1)/\(plan.nodes.count) \(node.name)"))
            }
            try await untilReady("at the end")
            report.done = true
        } catch {
            report.reason = error is CancellationError ? "interrupted" : "\(error)"
            throw error
        }
    }

    /// Undrains what is drained still, and sees to it that the order is obeyed. Not to be called by a cancelled task,
    /// which cannot ask anything.
    /// - Returns: what is left drained and why, if no router carries the order out.
    package func release() async -> (node: NodeName, why: String)? {
        guard let node = held else { return nil }
        var why = "it is still being drained"
        let deadline = SystemClock.monotonic() + .seconds(20)
        while SystemClock.monotonic() < deadline, !Task.isCancelled {
            switch await client.order(.undrain(node), within: .seconds(5)) {
            case .accepted: break
            // No router will take it, as when the topology has the node no more.
            case .refused(let reason): return (node, reason)
            case .unanswered(let said):
                why = "no router took the order\n\(said)"
                continue
            }
            // An order to drain that was under way when this was interrupted may have come after it.
            try? await Task.sleep(for: Self.interval * Self.looks)  // Cancelled: the loop's condition sees it.
            guard let status = await client.status() else { continue }
            switch status.nodes.first(where: { $0.name == node.rawValue })?.status {
            case .draining, .drained: continue
            case .up, .suspect, .down, nil: break
            }
            held = nil
            return nil
        }
        return (node, why)
    }

    // MARK: Before

    private func begin() async throws -> RestartPlan {
        guard let status = await client.status() else { throw unreachable("no router of \(topology.file) answers") }
        drainedBefore = Set(status.nodes.filter { $0.status == .drained }.map { NodeName($0.name) })
        let plan = RestartPlan(topology, status, only: only)
        report.remaining = plan.nodes.map(\.name.rawValue)
        var complaints = complaints(of: status)
        if let objection = plan.objection(topology, drained: drainedBefore) { complaints.append(objection) }
        if complaints.isEmpty { complaints = try await lastingAilments() }
        guard complaints.isEmpty else {
            throw RestartStopped(
                cause: .no,
                description: "nothing was restarted, since the cluster is not fit for it:\n" + Self.list(complaints))
        }
        for warning in plan.warnings(topology) { progress(warning) }
        for node in drainedBefore.sorted() { progress("\(node) is drained, and stays so") }
        return plan
    }

    /// Who was undrained since is from now on as the others are.
    private func noteUndrained() async {
        guard let status = await client.status(), status.isConclusive else { return }
        // One that is down for a moment is not shown as drained either.
        let up = status.nodes.filter { $0.status == .up }.map { NodeName($0.name) }
        drainedBefore.subtract(up)
    }

    // MARK: One node

    private func restart(_ node: NodeSpec, _ label: String) async throws -> RestartReport.Node {
        var entry = RestartReport.Node(name: node.name.rawValue, role: node.role.name, away: 0)
        try await untilReady("before \(node.name) is restarted")
        await noteUndrained()
        let drains = node.role == .sr && !drainedBefore.contains(node.name)
        if drains {
            progress("\(label): moving its domains away")
            entry.drain = try await measure { try await drain(node) }
        }
        progress("\(label): restarting")
        onAway(node.name, true)
        entry.away = try await measure { try await replaceLife(of: node) }
        onAway(node.name, false)
        report.remaining.removeAll { $0 == node.name.rawValue }
        if drains {
            progress("\(label): back after \(entry.away) s; filling its copies")
            entry.sync = try await measure {
                try await undrain(node)
                try await untilReady("after \(node.name) was restarted")
            }
        }
        progress("\(label): done" + (drains ? " after \(entry.sync ?? 0) s" : " after \(entry.away) s"))
        return entry
    }

    private func drain(_ node: NodeSpec) async throws {
        // From before it is ordered: the order may be taken although nobody hears so.
        held = node.name
        switch await client.order(.drain(node.name), within: limit) {
        case .accepted: break
        case .refused(let why): throw stopped("\(node.name) cannot be drained: \(why)")
        case .unanswered(let said): throw unreachable("no router took the order to drain \(node.name)\n\(said)")
        }
        try await until("\(node.name) is not drained") { status in
            let entry = status.nodes.first { $0.name == node.name.rawValue }
            guard entry?.status == .drained else { return ["it is \(entry?.status.rawValue ?? "unknown")"] }
            return self.complaints(of: status, without: node)
        }
    }

    private func undrain(_ node: NodeSpec) async throws {
        switch await client.order(.undrain(node.name), within: limit) {
        case .accepted: held = nil
        case .refused(let why): throw stopped("\(node.name) cannot be undrained: \(why)")
        case .unanswered(let said): throw unreachable("no router took the order to undrain \(node.name)\n\(said)")
        }
    }

    /// Asks the node's life to end, and waits for the next one to be fit for work.
    private func replaceLife(of node: NodeSpec) async throws {
        var former: UInt64?
        var isAsked = false
        try await until("\(node.name) did not come back; its log says why") { status in
            guard let entry = status.nodes.first(where: { $0.name == node.name.rawValue }), entry.incarnation > 0 else {
                return ["no router has heard of it"]
            }
            let life = former ?? entry.incarnation
            former = life
            if entry.incarnation > life {
                let complaints = self.complaints(of: status, without: node)
                guard entry.status != .down, entry.status != .suspect else { return ["it is \(entry.status.rawValue)"] }
                return complaints.isEmpty ? await self.client.ailments(of: [node]) : complaints
            }
            guard !isAsked else { return ["it was asked to restart, and no later life of it was heard yet"] }
            switch await self.client.restart(node, incarnation: life) {
            case .accepted, .anotherLife: isAsked = true
            case .refused(let why): throw self.stopped("\(node.name) did not restart: \(why)")
            case .unanswered(let said): return ["it could not be asked to restart: \(said)"]
            }
            return ["it was asked to restart, and no later life of it was heard yet"]
        }
    }

    /// What ails nodes for longer than a moment: one that has just started may not have heard yet who leads.
    private func lastingAilments() async throws -> [String] {
        let end = ContinuousClock.now + .seconds(3)
        while true {
            let ailments = await client.ailments(of: topology.nodes)
            if ailments.isEmpty || ContinuousClock.now >= end { return ailments }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    // MARK: Waiting

    private func untilReady(_ when: String) async throws {
        var good = 0
        try await until("the cluster is not fit for it \(when)") { status in
            var complaints = self.complaints(of: status)
            if complaints.isEmpty { complaints = await self.client.ailments(of: self.topology.nodes) }
            good = complaints.isEmpty ? good + 1 : 0
            return complaints.isEmpty && good < Self.looks ? ["it has only just become so"] : complaints
        }
    }

    /// Looks at the status until nothing is missing any more.
    /// - Parameter missing: what is missing, in words.
    /// - Throws: `RestartStopped` with `failure` and what was missing last, when the limit is over.
    private func until(
        _ failure: String, _ missing: (ClusterStatus) async throws -> [String]
    ) async throws {
        let deadline = SystemClock.monotonic() + limit
        var last: [String]?
        while true {
            if let status = await client.status() {
                let complaints = try await missing(status)
                if complaints.isEmpty { return }
                last = complaints
            } else {
                last = ["no router answers"]
            }
            try Task.checkCancellation()
            guard SystemClock.monotonic() < deadline else {
                throw stopped("\(failure) within \(limit.components.seconds) s:\n\(Self.list(last ?? []))")
            }
            try await Task.sleep(for: Self.interval)
        }
    }

    private func complaints(of status: ClusterStatus, without absent: NodeSpec? = nil) -> [String] {
        ClusterReadiness.complaints(of: status, topology, absent: absent?.name, drained: drainedBefore)
    }

    private func measure(_ body: () async throws -> Void) async throws -> Double {
        let start = SystemClock.monotonic()
        try await body()
        return (SystemClock.monotonic() - start).inSeconds
    }

    private func stopped(_ text: String) -> RestartStopped { RestartStopped(cause: .no, description: text) }
    private func unreachable(_ text: String) -> RestartStopped {
        RestartStopped(cause: .unreachable, description: text)
    }

    private static func list(_ lines: [String]) -> String { lines.map { "  \($0)" }.joined(separator: "\n") }
}

extension Duration {
    /// To a hundredth.
    fileprivate var inSeconds: Double { (Double(milliseconds) / 10).rounded() / 100 }
}
