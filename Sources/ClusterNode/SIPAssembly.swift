import AdminAPI
import ClusterRuntime
import Foundation
import RegistrarEvents
import SIPGateway
import ServiceLifecycle

extension NodeEnvironment {
    /// - Parameter gruuKey: the same at all nodes; nil when the cluster has no secret.
    func assembleSIPGateway(_ directory: any AccountDirectory, gruuKey: [UInt8]?) -> AssembledNode {
        let gruus = TemporaryGRUUs(key: gruuKey)
        guard let listen = spec.sip else {
            preconditionFailure("\(spec.name) is an sg without sip; topologies are checked")
        }
        let server = SIPServer(
            settings: SIPSettings(
                host: spec.address, listen: listen, threads: sipThreads, limits: keeper.started.limits,
                periods: keeper.started.periods, domains: topology.domains, gruus: gruus),
            life: life, transport: transport, directory: directory, log: log)
        let agent = AgentShell(
            agent: makeAgent(), transport: transport, heartbeat: keeper.started.periods.heartbeat,
            onAssigned: { assignments in
                server.assigned(assignments)
                inlet.assigned(assignments)
            },
            onTopology: keeper.receive)
        register(server)
        let sweep = AccountSweep(
            directory: directory, kind: .sipuser, domains: { Set(topology.domains.map(\.name)) }, registrar: requests,
            deadline: keeper.started.periods.requestDeadline, log: log,
            onEnded: { ended in for removed in ended { server.removed(removed.account.name, of: removed.domain) } })
        var backend = makeBackend(
            assignment: { agent.assignment(of: $0) },
            problems: {
                (agent.leader == nil ? ["no router was heard yet"] : [])
                    + (server.isAccepting ? [] : ["SIP devices are not answered"])
            },
            status: { .elsewhere(adminAddress(of: agent.leader)) }, accounts: { directory })
        backend.temporaryGRUU = { token, domain in
            gruus.target(of: token, in: domain).map { target in
                GRUUTarget(
                    account: target.account, includes: { target.includes($0) }, isLive: { target.isLive(among: $0) })
            }
        }
        backend.bans = { server.bans }
        backend.liftBan = { server.liftBan($0) }
        return AssembledNode(
            services: [
                LoopService { await agent.run() }, LoopService { await sweep.run() },
                keepUp(agent) { server.serve($0.domains, assignments: agent.assignments) }, makeAdmin(backend), server,
            ],
            receive: { event in
                guard case .received(let messages, let sender) = event else { return }
                let received = messages.filter { !agent.receive($0, from: sender) }
                server.follow(received, from: sender)
                let replies = received.compactMap { if case .reply(let reply) = $0 { reply } else { nil } }
                let others = server.receive(replies, from: sender)
                if !others.isEmpty { inlet.receive(others.map(Message.reply), from: sender) }
            })
    }

    /// Half of the processors for sockets; the rest is for owners and clients on the same machine. At most as many as
    /// ids of requests can tell apart.
    private var sipThreads: Int { min(max(1, ProcessInfo.processInfo.activeProcessorCount / 2), 7) }

    private func register(_ server: SIPServer) {
        metrics.gauge("rollcall_sip_connections_open", help: "Connections of SIP devices open now.") {
            Double(server.statistics.open)
        }
        metrics.gauge("rollcall_sip_watchers_open", help: "Subscriptions of SIP watchers now.") {
            Double(server.statistics.watchers)
        }
        let counters: [(String, String, any KeyPath<SIPStatistics, UInt64> & Sendable)] = [
            ("registers", "REGISTER requests taken in.", \.registers),
            ("other_requests", "Requests of other methods.", \.otherRequests),
            ("responses", "Responses of devices.", \.responses),
            ("malformed", "Messages that could not be read.", \.malformed),
            ("repetitions", "Requests that had been taken in before.", \.repetitions),
            ("left_to_repeat", "Requests that came while the node went down, for its next life.", \.leftToRepeat),
            ("challenges", "Digest challenges.", \.challenges),
            ("wrong_passwords", "Wrong answers to challenges.", \.wrongPasswords),
            ("banned", "Messages and connections dropped unanswered for their address.", \.banned),
            ("unsent", "Datagrams not sent: too much waited, the system refused, or too large.", \.unsent),
            ("answers_too_large", "Lists of contacts that no datagram holds, answered 513.", \.tooLarge),
            ("accepted", "REGISTER requests answered 200.", \.accepted),
            ("refused", "Requests answered 400 and above, challenges apart.", \.refused),
            ("unavailable", "Requests answered 503.", \.unavailable),
            ("probes", "Questions to devices of full accounts whether they live.", \.probes),
            ("replaced", "Contacts ended since their devices did not answer.", \.replaced),
            ("connections", "Connections accepted.", \.connections),
            ("connections_turned_away", "Connections refused as too many.", \.turnedAway),
            ("subscribes", "SUBSCRIBE requests taken in.", \.subscribes),
            ("notifies", "NOTIFY requests sent, repetitions apart.", \.notifies),
            ("notify_repetitions", "NOTIFY requests sent again for want of an answer.", \.notifyRepetitions),
            ("watchers_ended", "Subscriptions that ended with a last NOTIFY.", \.watchersEnded),
            ("watchers_lost", "Subscriptions whose watchers refused a NOTIFY, or went.", \.watchersLost),
        ]
        for (name, help, path) in counters {
            metrics.counter("rollcall_sip_\(name)_total", help: help) { server.statistics[keyPath: path] }
        }
    }
}
