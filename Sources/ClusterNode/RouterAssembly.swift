import AdminAPI
import ClusterRuntime
import Router
import ServiceLifecycle

extension NodeEnvironment {
    func assembleRouter(_ coordinator: any Coordinator, _ accounts: AccountsAtHand) -> AssembledNode {
        let router = RouterNode(
            node: life, layout: ClusterLayout(topology), periods: keeper.started.periods, pid: pid,
            coordinator: coordinator, transport: transport, logger: log, topology: keeper.startedActive,
            layoutOf: { [file = keeper.started.file] text in
                // What is wrong with it, the keeper says.
                (try? Topology.parse(text, path: file)).map(ClusterLayout.init)
            },
            onTopology: keeper.receive,
            // A router's own requests (REST on its address) go by the assignments that it has stored or been told.
            onAssigned: { inlet.assigned($0) })
        metrics.counter("rollcall_router_events_dropped_total", help: "Transport events that found the mailbox full.") {
            router.droppedEvents
        }
        metrics.gauge(
            "rollcall_router_term", help: "The term in which this router leads; 0 while it does not."
        ) { Double(router.latestGauges.term) }
        metrics.gauge(
            "rollcall_coordinator_answers", help: "Whether the coordinator answered (1) or not (0) when last asked."
        ) { router.latestGauges.coordinatorAnswers ? 1 : 0 }
        var backend = makeBackend(
            assignment: { await router.assignment(of: $0) },
            problems: { await problems(of: router) },
            status: {
                // While nobody leads, what this router sees is better than nothing.
                let status = await router.status()
                let active = status.routers.first { $0.state == .active && $0.name != life.name.rawValue }
                return active.map { .elsewhere(adminAddress(of: NodeName($0.name))) } ?? .here(status)
            },
            accounts: accounts.callAsFunction,
            ownerChanges: { await router.ownerChanges(of: $0) })
        backend.order = { await router.order($0) }
        backend.topology = { await router.leadingTopology() }
        backend.activate = { await activate($0, after: $1, at: router) }
        backend.preview = { await preview($0, at: router) }
        backend.explanation = { await router.explanation(of: $0) }
        return AssembledNode(
            services: [
                LoopService { await router.run() },
                keepUp { news in
                    await router.learned(
                        news.active, ClusterLayout(news.topology), needsRestart: news.needsRestart)
                },
                makeAdmin(backend),
            ],
            receive: { event in
                if case .received(let messages, let sender) = event { inlet.receive(messages, from: sender) }
                router.receive(event)
            })
    }

    /// Everything that can be wrong with a topology is found before the machine is asked.
    private func activate(_ text: String, after version: UInt64, at router: RouterNode) async -> ActivationOutcome {
        let new: Topology
        do throws(TopologyError) {
            new = try Topology.parse(text, path: keeper.started.file)
        } catch {
            return .invalid(error.problems.map(\.description))
        }
        let refusals = TopologyDifference(from: topology, to: new).refusals
        guard refusals.isEmpty else { return .invalid(refusals) }
        let active = ActiveTopology(version: version + 1, text: text, since: SystemClock.wall())
        return .answered(await router.activate(active, ClusterLayout(new)))
    }

    private func preview(_ text: String, at router: RouterNode) async -> PreviewOutcome {
        do throws(TopologyError) {
            let new = try Topology.parse(text, path: keeper.started.file)
            return await router.preview(of: ClusterLayout(new)).map { .movements($0) } ?? .notLeading
        } catch {
            return .invalid(error.problems.map(\.description))
        }
    }

    private func problems(of router: RouterNode) async -> [String] {
        let status = await router.status()
        let isLed = status.routers.contains { $0.state == .active }
        return (isLed ? [] : ["no router leads"]) + (status.coordinator?.complaint.map { [$0] } ?? [])
    }
}
