import AdminAPI
import ClusterRuntime
import Destinations
import RegistrarEvents
import SRActor
import ServiceLifecycle

extension NodeEnvironment {
    func assembleRegistrar(
        _ journal: any Journal, _ replicas: [DomainName: DomainReplica], _ accounts: AccountsAtHand,
        _ inProcess: [InProcessDestination] = []
    ) throws -> AssembledNode {
        let relay = NoticeRelay()
        let hub = try makeDestinations(inProcess, relay: relay)
        let node = SRNode(
            node: life, transport: transport, journal: journal, replicas: replicas, routers: routers,
            limits: keeper.started.limits, policy: { policy(of: $0, destinations: hub.names(for: $0)) }, outlet: hub,
            log: log)
        relay.connect { node.receive($0, of: $1) }
        let agent = AgentShell(
            agent: makeAgent(), transport: transport, heartbeat: keeper.started.periods.heartbeat,
            onAssigned: { assignments in
                node.assigned(assignments)
                inlet.assigned(assignments)
            },
            onLease: { node.extendLease(to: $0) }, onTopology: keeper.receive,
            isJournalWritable: { node.isJournalWritable }, mayVouch: { node.mayVouch() })
        register(node)
        var backend = makeBackend(
            assignment: { agent.assignment(of: $0) },
            problems: {
                (agent.leader == nil ? ["no router was heard yet"] : [])
                    + (node.isJournalWritable ? [] : ["the journal cannot be written; see the log"])
                    + hub.problems
            },
            status: { .elsewhere(adminAddress(of: agent.leader)) }, accounts: accounts.callAsFunction,
            copies: { held(node.reports, by: agent) })
        backend.destinations = { hub.status }
        backend.resume = { hub.resume($0) }
        return AssembledNode(
            services: [
                // The first ends last: destinations once nothing is owned or published any more.
                LoopService { await hub.run() },
                LoopService { await agent.run() }, LoopService { await node.run(term: { agent.term }) },
                keepUp(agent) { topology in
                    node.topologyChanged(
                        routers: topology.nodes(of: .router).map(\.name), domains: Set(topology.domains.map(\.name)))
                },
                makeAdmin(backend),
            ],
            receive: { event in
                guard case .received(let messages, let sender) = event else { return }
                let others = messages.filter { !agent.receive($0, from: sender) }
                node.receive(others, from: sender, knowing: agent.revision)
                inlet.receive(others, from: sender)
            })
    }

    private func held(_ reports: [CopyReport], by agent: AgentShell) -> [HeldCopy] {
        reports.compactMap { report in
            guard let assignment = agent.assignment(of: report.domain) else { return nil }
            if assignment.owner == life { return HeldCopy(.owner, report) }
            return assignment.standbys.contains { $0.node == life } ? HeldCopy(.standby, report) : nil
        }
    }

    private func policy(of domain: DomainName, destinations: [String]) -> DomainPolicy {
        let spec = keeper.spec(of: domain) ?? DomainSpec(name: domain)
        return DomainPolicy(
            minimumTTL: UInt32(clamping: spec.minimumExpires.milliseconds),
            maximumTTL: UInt32(clamping: spec.maximumExpires.milliseconds),
            maximumContacts: UInt32(clamping: spec.contacts), maximumDevices: UInt32(clamping: spec.devices),
            acceptsWithoutLease: spec.availability == .accept,
            replicationTimeout: keeper.started.periods.replicationTimeout,
            ringEntries: keeper.started.limits.ringEntries, ringBytes: keeper.started.limits.ringBytes,
            topology: keeper.version(with: domain), destinations: destinations)
    }

    private func register(_ node: SRNode) {
        metrics.gauges("rollcall_domain_contacts", help: "Contacts of a domain held here.") {
            node.reports.flatMap { report in
                [("user", report.users), ("sipuser", report.sipusers)].map { kind, count in
                    .init(
                        labels: [("domain", report.domain.rawValue), ("kind", kind)], value: Double(count))
                }
            }
        }
        metrics.gauges("rollcall_domain_epoch", help: "The epoch in which a domain's copy here is.") {
            node.reports.map { .init(labels: [("domain", $0.domain.rawValue)], value: Double($0.position.epoch)) }
        }
        metrics.gauges("rollcall_domain_seq", help: "The last entry applied in the epoch.") {
            node.reports.map { .init(labels: [("domain", $0.domain.rawValue)], value: Double($0.position.seq)) }
        }
        metrics.gauge("rollcall_journal_writable", help: "1 while the journal can be written to.") {
            node.isJournalWritable ? 1 : 0
        }
        metrics.counter("rollcall_domain_events_dropped_total", help: "Events that found a domain's mailbox full.") {
            node.dropped
        }
    }
}
