import AdminAPI
import ClusterRuntime
import Logging
import RegistrarEvents
import Foundation
import ServiceLifecycle
import WSSubscrActor
import WebSocketGateway

extension NodeEnvironment {
    func assembleFrontier(_ directory: any AccountDirectory) -> AssembledNode {
        let node = WSSubscrNode(
            domains: topology.domains.map(\.name), transport: transport,
            settings: FollowerSettings(limits: keeper.started.limits, periods: keeper.started.periods), log: log)
        let agent = AgentShell(
            agent: makeAgent(), transport: transport, heartbeat: keeper.started.periods.heartbeat,
            onAssigned: { assignments in
                node.assigned(assignments)
                inlet.assigned(assignments)
            },
            onTopology: keeper.receive)
        let registrations = RegistrationActor(
            client: requests, ttl: keeper.started.periods.websocketTTL,
            deadline: keeper.started.periods.requestDeadline,
            seed: life.incarnation)
        let server = WebSocketServer(
            settings: gatewaySettings,
            node: node, registrations: registrations, directory: directory, tokens: tokens, log: log)
        node.onRemoved { server.disconnect($0) }
        register(node, server)
        let sweep = AccountSweep(
            directory: directory, kind: .user, domains: { Set(topology.domains.map(\.name)) }, registrar: requests,
            deadline: keeper.started.periods.requestDeadline, log: log, onEnded: { server.disconnect($0) })
        var backend = makeBackend(
            assignment: { agent.assignment(of: $0) },
            problems: {
                (agent.leader == nil ? ["no router was heard yet"] : [])
                    + (server.isAccepting ? [] : ["websockets are not accepted"])
                    + unfinished(node.reports)
            },
            status: { .elsewhere(adminAddress(of: agent.leader)) }, accounts: { directory },
            copies: { node.reports.map { HeldCopy(.follower, $0.copy) } })
        backend.onlineAccounts = { await node.onlineAccounts(of: $0, $1) }
        backend.bans = { server.bans }
        backend.liftBan = { server.liftBan($0) }
        return AssembledNode(
            services: [
                LoopService { await agent.run() }, LoopService { await node.run() },
                LoopService { await registrations.run() }, LoopService { await sweep.run() },
                keepUp(agent) { node.serve($0.domains.map(\.name), assignments: agent.assignments) },
                makeAdmin(backend), server,
            ],
            receive: { event in
                guard case .received(let messages, let sender) = event else { return }
                let others = messages.filter { !agent.receive($0, from: sender) }
                node.receive(others, from: sender)
                inlet.receive(others, from: sender)
            })
    }

    private var gatewaySettings: GatewaySettings {
        guard let listen = spec.websocket else {
            preconditionFailure("\(spec.name) is a wssubscr without websocket; topologies are checked")
        }
        var settings = GatewaySettings(
            host: spec.address, port: listen.port, site: spec.site,
            threads: max(1, ProcessInfo.processInfo.activeProcessorCount / 2), limits: keeper.started.limits,
            periods: keeper.started.periods)
        settings.tls = listen.tls
        settings.handshakes.origins = listen.origins
        settings.handshakes.deflates = listen.deflates
        settings.handshakes.hasEcho = listen.hasDiagnostics
        return settings
    }

    /// Without their names: everybody may ask for a node's health.
    private func unfinished(_ reports: [FollowerReport]) -> [String] {
        let count = reports.count { !$0.copy.complete }
        return count == 0 ? [] : ["the lists of \(count) of \(reports.count) domains are not whole yet"]
    }

    private func register(_ node: WSSubscrNode, _ server: WebSocketServer) {
        metrics.gauge("rollcall_websockets_open", help: "Websockets open now.") { Double(server.statistics.open) }
        let counters: [(String, String, any KeyPath<GatewayStatistics, UInt64> & Sendable)] = [
            ("connections_accepted", "TCP connections accepted.", \.accepted),
            (
                "connections_turned_away",
                "TCP connections refused: too many, too many a second, or the node goes down.", \.turnedAway
            ),
            ("handshakes_refused", "Handshakes answered with an error.", \.handshakesRefused),
            ("messages_received", "Messages of clients.", \.messagesReceived),
            ("events_sent", "Notifications handed to sockets.", \.eventsSent),
            ("events_dropped", "Notifications dropped at slow sockets, which are told by clear.", \.eventsDropped),
            ("sockets_fell_behind", "Times a socket went over its budget.", \.fellBehind),
            ("logins_accepted", "Logins accepted.", \.loginsAccepted),
            ("logins_refused", "Logins refused.", \.loginsRefused),
            ("logins_banned", "Logins turned away unchecked.", \.loginsBanned),
            ("protocol_errors", "Connections closed for breaking the protocol.", \.protocolErrors),
            ("timeouts", "Connections closed for silence, or for not logging in.", \.timeouts),
        ]
        for (name, help, path) in counters {
            metrics.counter("rollcall_websocket_\(name)_total", help: help) { server.statistics[keyPath: path] }
        }
        metrics.gauges("rollcall_follower_seq", help: "The last entry of a domain known here, in its epoch.") {
            node.reports.map {
                .init(labels: [("domain", $0.copy.domain.rawValue)], value: Double($0.copy.position.seq))
            }
        }
        metrics.counter("rollcall_follower_events_dropped_total", help: "Events that found a mailbox full.") {
            node.dropped
        }
    }
}
