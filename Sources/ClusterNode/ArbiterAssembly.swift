import AdminAPI
import ClusterRuntime
import ServiceLifecycle

extension NodeEnvironment {
    /// A node that the routers hear, and that answers at its admin address; no more is asked of it.
    func assembleArbiter(_ accounts: AccountsAtHand) -> AssembledNode {
        let agent = AgentShell(
            agent: makeAgent(), transport: transport, heartbeat: keeper.started.periods.heartbeat,
            onAssigned: { inlet.assigned($0) }, onTopology: keeper.receive)
        let backend = makeBackend(
            assignment: { agent.assignment(of: $0) },
            problems: { agent.leader == nil ? ["no router was heard yet"] : [] },
            status: { .elsewhere(adminAddress(of: agent.leader)) }, accounts: accounts.callAsFunction)
        return AssembledNode(
            services: [LoopService { await agent.run() }, keepUp(agent) { _ in }, makeAdmin(backend)],
            receive: { event in
                guard case .received(let messages, let sender) = event else { return }
                inlet.receive(messages.filter { !agent.receive($0, from: sender) }, from: sender)
            })
    }
}
