import AdminAPI
import ClusterRuntime
import Router
import ServiceLifecycle

extension NodeEnvironment {
    func assembleRouter(_ coordinator: any Coordinator) -> AssembledNode {
        let router = RouterNode(
            node: life, layout: ClusterLayout(topology), periods: topology.periods, pid: pid,
            coordinator: coordinator, transport: transport, logger: log)
        metrics.counter("rollcall_router_events_dropped_total", help: "Transport events that found the mailbox full.") {
            router.droppedEvents
        }
        var backend = makeBackend(
            assignment: { domain in await router.assignments().first { $0.domain == domain } },
            problems: { await router.leader() == nil ? ["no router leads"] : [] },
            status: {
                let leader = await router.leader()
                return leader == life.name ? .here(await router.status()) : .elsewhere(adminAddress(of: leader))
            },
            ownerChanges: { await router.ownerChanges(of: $0) })
        backend.order = { await router.order($0) }
        backend.explanation = { await router.explanation(of: $0) }
        return AssembledNode(
            services: [
                LoopService { await router.run() },
                LoopService { await followAssignments(of: router) },
                makeAdmin(backend),
            ],
            receive: { event in
                if case .received(let messages, let sender) = event { inlet.receive(messages, from: sender) }
                router.receive(event)
            })
    }

    /// A router's own requests (REST on its address) go by the assignments that it has stored or been told.
    private func followAssignments(of router: RouterNode) async {
        var known: [Assignment] = []
        while !Task.isCancelled {
            let assignments = await router.assignments()
            if assignments != known {
                known = assignments
                inlet.assigned(assignments)
            }
            try? await Task.sleep(for: .milliseconds(100))  // ends early only when cancelled, which the loop sees
        }
    }
}
