import ClusterClients
import ClusterRuntime
import Foundation
import RegistrarEvents
import Synchronization

/// One drill on a cluster that is ready: from the first registration to the report.
struct DrillSession: Sendable {
    private let drill: DrillFile
    private let cluster: DrillCluster
    private let client: ClusterClient
    private let progress: @Sendable (String) -> Void
    private let names: ContactNames
    private let recorder: HistoryRecorder
    private let load: any DrillLoad
    private let subscribers: [DrillSubscriber]
    private let connections: ConnectionLog
    private let restarts = RestartLog()

    /// How long registering everybody, giving every subscriber its first set, and settling at the end may take.
    static let registrationLimit: Duration = .seconds(120)
    static let subscriptionLimit: Duration = .seconds(30)
    static let settleLimit: Duration = .seconds(15)
    /// The same where there are destinations: a batch is given up after ten seconds, and tried again after pauses.
    static let deliveryLimit: Duration = .seconds(60)
    /// Of one step of a node's.
    static let restartLimit: Duration = .seconds(60)
    static let detectionInterval: Duration = .milliseconds(20)

    init(
        drill: DrillFile, cluster: DrillCluster, client: ClusterClient, tokens: DrillCredentials,
        progress: @escaping @Sendable (String) -> Void
    ) async throws {
        self.drill = drill
        self.cluster = cluster
        self.client = client
        self.progress = progress
        let domain = drill.load.domain
        // Long enough that nothing runs out by itself while it is being checked.
        let wanted = drill.duration * 3 + .seconds(600)
        let ttl = min(wanted, cluster.topology.domain(named: domain)?.maximumExpires ?? wanted)
        let names = ContactNames()
        let recorder = HistoryRecorder()
        self.names = names
        self.recorder = recorder
        cluster.destinations?.judge(domain, names)
        if let sip = drill.load.sip {
            guard let gateway = cluster.topology.nodes(of: .sg).first(where: { $0.sip?.udp != nil }) else {
                preconditionFailure("a drill by SIP was let through for a topology without gateway")
            }
            load = try await SIPLoadGenerator(
                gateway: gateway, load: drill.load, sip: sip, names: names, recorder: recorder, ttl: ttl)
        } else {
            load = LoadGenerator(client: client, load: drill.load, names: names, recorder: recorder, ttl: ttl)
        }
        let nodes = cluster.topology.nodes(of: .wssubscr)
        let connections = ConnectionLog()
        self.connections = connections
        subscribers = (0..<drill.load.subscribers).map { index in
            DrillSubscriber(
                index: index, domain: domain, contacts: LoadGenerator.contacts(of: drill.load), nodes: nodes,
                names: names,
                recorder: recorder, connections: connections, token: tokens.service)
        }
    }

    func run(cleanUp: Bool) async throws -> DrillReport {
        try await withThrowingTaskGroup(of: Void.self) { following in
            for subscriber in subscribers { following.addTask { await subscriber.run() } }
            following.addTask { await cluster.destinations?.run() }
            try await waitForSubscribers()
            progress("registering \(drill.load.registrations) contacts")
            try await load.registerAll(within: Self.registrationLimit)
            progress("load and faults for \(drill.duration.components.seconds) s")
            let (faults, isolations) = try await runLoadWithFaults()
            progress("settling and checking")
            let report = try await judge(faults, isolations)
            if cleanUp { await load.cleanUp() }
            await load.close()
            following.cancelAll()
            return report
        }
    }

    private func waitForSubscribers() async throws {
        let deadline = SystemClock.monotonic() + Self.subscriptionLimit
        while let waiting = subscribers.first(where: { !$0.isReady }) {
            guard SystemClock.monotonic() < deadline else {
                throw DrillFailure.unreachable(
                    "a subscriber got no snapshot within \(Self.subscriptionLimit.components.seconds) s: "
                        + (waiting.lastProblem ?? "the node sent nothing"))
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// A fault with what was seen of it in the routers' status.
    private struct ObservedFault: Sendable {
        var fault: InjectedFault
        var detectedAt: MonotonicInstant?
        var epoch: UInt64?
        /// When it was taken back, or the load ended.
        var endedAt: MonotonicInstant?
    }

    private func runLoadWithFaults() async throws -> ([ObservedFault], [Isolation]) {
        let start = SystemClock.monotonic()
        return try await withThrowingTaskGroup(of: ObservedFault?.self) { group in
            group.addTask {
                await load.run()
                return nil
            }
            var injector = FaultInjector(cluster: cluster, client: client, domain: drill.load.domain)
            var takenBack: [MonotonicInstant] = []
            for step in drill.steps {
                try await Task.sleep(for: max(.zero, start + step.at - SystemClock.monotonic()))
                if case .restart(let target) = step.action {
                    progress("\(step.action)")
                    restarts.began()
                    group.addTask {
                        await restart(target)
                        return nil
                    }
                    continue
                }
                if !step.action.isFault { takenBack.append(SystemClock.monotonic()) }
                for fault in try await injector.carryOut(step.action) {
                    progress("\(fault.step): \(fault.subject)")
                    disturbed(fault.subject)
                    group.addTask { await watch(fault, until: start + drill.duration) }
                }
                if !step.action.isFault { progress("\(step.action)") }
            }
            try await Task.sleep(for: max(.zero, start + drill.duration - SystemClock.monotonic()))
            while !restarts.areOver { try await Task.sleep(for: .milliseconds(50)) }
            let loadEnd = SystemClock.monotonic()
            load.stop()
            let faults = try await group.reduce(into: [ObservedFault]()) { [takenBack] found, fault in
                guard var fault else { return }
                fault.endedAt = FaultTimes.end(of: fault.fault.at, takenBack: takenBack, loadEnd: loadEnd)
                found.append(fault)
            }
            return (faults.sorted { $0.fault.at < $1.fault.at }, injector.isolations)
        }
    }

    /// From now on no lost connection is a stray: to the node, or to any when it was done to more than one.
    private func disturbed(_ subject: String) {
        let topology = cluster.topology
        let isNode = topology.nodes.contains { $0.name.rawValue == subject }
        for node in topology.nodes(of: .wssubscr) where !isNode || node.name.rawValue == subject {
            connections.disturbed(node.name)
        }
    }

    /// Beside the load and other steps; what comes of it is told in the report.
    private func restart(_ target: DrillFile.Target) async {
        var only: Set<NodeName>?
        if case .node(let name) = target { only = [name] }
        let restart = RollingRestart(
            cluster.topology, client, only: only, limit: Self.restartLimit, progress: progress,
            onAway: { node, isAway in
                if isAway { connections.disturbed(node) } else { connections.settled(node) }
            })
        // It says itself why it stopped.
        try? await restart.run()
        let left = await restart.release()
        restarts.ended(await restart.report, left: left?.node)
    }

    private func watch(_ fault: InjectedFault, until end: MonotonicInstant) async -> ObservedFault {
        let domain = drill.load.domain.rawValue
        while SystemClock.monotonic() < end, !Task.isCancelled {
            if let status = await client.status(), FaultInjector.shows(fault.sign, status, domain: domain) {
                let epoch = status.domains.first { $0.name == domain }?.epoch
                return ObservedFault(fault: fault, detectedAt: SystemClock.monotonic(), epoch: epoch)
            }
            try? await Task.sleep(for: Self.detectionInterval)  // Cancelled: the loop's condition sees it.
        }
        return ObservedFault(fault: fault)
    }

    /// Checks again and again until nothing is missing any more or the time is up: events are still on their way.
    private func judge(_ faults: [ObservedFault], _ isolations: [Isolation]) async throws -> DrillReport {
        let checker = HistoryChecker(settledAfter: cluster.topology.periods.requestDeadline)
        let deadline =
            SystemClock.monotonic() + (cluster.destinations == nil ? Self.settleLimit : Self.deliveryLimit)
        while true {
            let listed = try await listedContacts()
            let list = Set(listed.keys)
            let destinations = cluster.destinations?.state ?? []
            let views = subscribers.map(\.view)
            // Positions of phones' requests are known once their events are there.
            let operations = recorder.located
            let history = History(
                operations: operations, events: recorder.events, subscribers: views.map(\.record), list: list,
                listedCSeqs: listed.compactMapValues(\.self), takenAt: SystemClock.monotonic())
            var violations = checker.check(history) + recorder.disagreements
            let lease = cluster.topology.periods.ownerLease
            violations += isolations.flatMap { $0.violations(lease: lease, operations) }
            violations += destinations.flatMap { $0.gaps + $0.differences(from: list, cseqs: history.listedCSeqs) }
            let voided = drill.expect.mayBeVoided ? history.voided(among: violations) : []
            violations.removeAll { $0.kind == .lost && $0.contact.map(voided.contains) ?? false }
            let unsettled =
                violations.contains { $0.kind == .lost || $0.kind == .stale }
                || destinations.contains { !$0.gaps.isEmpty }
            guard unsettled, SystemClock.monotonic() < deadline else {
                let misses = try await DrillEnding(drill: drill, client: client).misses()
                var report = report(violations, operations, views, faults, misses: misses)
                report.voided = voided.count
                report.destinations = destinations.map { DrillReport.Destination($0) }
                report.packets = cluster.hosts.map { DrillReport.Packets($0.counts) }
                return report
            }
            try await Task.sleep(for: .milliseconds(250))
        }
    }

    /// Each contact of the drill's in the owner's list, with the CSeq that it was registered by.
    private func listedContacts() async throws -> [ContactNumber: UInt32?] {
        let deadline = SystemClock.monotonic() + Self.settleLimit
        while true {
            do throws(ClusterClient.Failure) {
                return try await client.contacts(of: drill.load.domain).reduce(into: [:]) { found, contact in
                    let number = names.number(id: contact.contactID, uri: contact.contactURI ?? "")
                    guard let number else { return }
                    found.updateValue(contact.cseq, forKey: number)
                }
            } catch {
                // The last fault may just be over.
                guard SystemClock.monotonic() < deadline else {
                    throw DrillFailure.unreachable("no node has the list of \(drill.load.domain):\n\(error)")
                }
            }
            try await Task.sleep(for: .milliseconds(250))
        }
    }

    private func report(
        _ violations: [Violation], _ operations: [Operation], _ views: [SubscriberView], _ faults: [ObservedFault],
        misses: [String]
    ) -> DrillReport {
        let settledAfter = cluster.topology.periods.requestDeadline
        let timed = faults.map { observed in
            let at = observed.fault.at
            var times = FaultTimes(
                detect: observed.detectedAt.map { $0 - at }, accept: FaultTimes.accept(after: at, operations))
            if case .newEpoch = observed.fault.sign, let epoch = observed.epoch {
                times.converge = FaultTimes.converge(
                    after: at, epoch: epoch, operations, subscribers: views.map(\.eras), settledAfter: settledAfter)
            }
            var movesOwner = false
            if case .newEpoch = observed.fault.sign {
                movesOwner = true
            }
            let end = movesOwner ? observed.detectedAt.map { $0 + .seconds(1) } : observed.endedAt
            times.gap = end.map { FaultTimes.gap(from: at, until: $0, operations) }
            return (step: observed.fault.step, subject: observed.fault.subject, times: times, movesOwner: movesOwner)
        }
        return DrillReport(
            drill: drill, violations: violations, operations: operations, sip: load.sip,
            delivered: views.reduce(0) { $0 + $1.eventCount }, faults: timed, restarts: restarts.reports,
            connections: connections.nodes, misses: restarts.misses + misses)
    }
}
