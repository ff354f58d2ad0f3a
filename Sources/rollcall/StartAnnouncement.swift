import ClusterClients
import ClusterRuntime
import Foundation
import RegistrarEvents

/// Waits until the nodes live and are healthy and says what runs and where; or, after a while, what is amiss.
struct StartAnnouncement {
    let topology: Topology
    let nodes: [NodeSpec]
    let supervisor: Supervisor

    /// After this long without everything being healthy, it says what is missing (and goes on waiting).
    static let patience: Duration = .seconds(15)
    static let interval: Duration = .milliseconds(100)

    /// Returns once it has spoken, or when cancelled.
    func run() async {
        let client = ClusterClient(topology: topology, token: nil)
        let impatientAt = SystemClock.monotonic() + Self.patience
        var complained = false
        while !Task.isCancelled {
            // Asked before and after: what answered in between was theirs.
            let areOurs = await supervisor.allHaveSettled
            let ailing = await findAiling(client)
            if areOurs, ailing.isEmpty, await supervisor.allHaveSettled {
                Console.error(text)
                break
            }
            if !complained, !ailing.isEmpty, SystemClock.monotonic() > impatientAt {
                complained = true
                Console.error("Not healthy yet:\n" + ailing.map { "  \($0)" }.joined(separator: "\n"))
            }
            try? await Task.sleep(for: Self.interval)  // Cancelled: the loop's condition sees it.
        }
        await client.shutDown()
    }

    private func findAiling(_ client: ClusterClient) async -> [String] {
        var ailing: [String] = []
        for node in nodes {
            switch await client.health(of: node) {
            case .healthy: break
            case .unhealthy(let reasons): ailing.append("\(node.name): \(reasons)")
            case .silent: ailing.append("\(node.name): no answer on port \(node.adminPort)")
            }
        }
        return ailing
    }

    private var text: String {
        var table = Table("node", "role", "admin", "clients")
        for node in nodes {
            table.row(
                node.name.rawValue, node.role.name, node.adminURL,
                clientAddresses(of: node))
        }
        let domains = topology.domains.prefix(5).map(\.name.rawValue).joined(separator: ", ")
        let more = topology.domains.count > 5 ? " and \(topology.domains.count - 5) more" : ""
        let example = topology.domains.first.map(\.name.rawValue) ?? "DOMAIN"
        return """
            Cluster \(topology.cluster) is healthy. Domains: \(domains)\(more).
            \(table.text)
            Try: rollcall tail \(topology.file) --domain \(example) --snapshot
            Ctrl-C stops everything.
            """
    }

    /// Where browsers, services and phones reach a node.
    private func clientAddresses(of node: NodeSpec) -> String {
        let host = NetworkAddress.host(node.address)
        if let websocket = node.websocket {
            return "\(websocket.tls == nil ? "ws" : "wss")://\(host):\(websocket.port)/ws"
        }
        guard let sip = node.sip else { return "" }
        let listeners: [(transport: String, port: Int?)] = [
            ("UDP", sip.udp), ("TCP", sip.tcp), ("TLS", sip.tls?.port), ("WS", sip.ws),
            ("WSS", sip.wss?.port),
        ]
        // Transports that share a port, as UDP and TCP usually do, stand together.
        var shown: [(port: Int, transports: [String])] = []
        for (transport, port) in listeners {
            guard let port else { continue }
            if let index = shown.firstIndex(where: { $0.port == port }) {
                shown[index].transports.append(transport)
            } else {
                shown.append((port, [transport]))
            }
        }
        return shown.map { "sip:\(host):\($0.port) (\($0.transports.joined(separator: ", ")))" }
            .joined(separator: ", ")
    }
}
