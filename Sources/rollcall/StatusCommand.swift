import ArgumentParser
import ClusterClients
import ClusterRuntime
import Foundation

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show routers, nodes and domains as the active router sees them.",
        discussion: """
            A node that is suspect or down, a domain without owner or without a standby in sync are marked in the last \
            column; nodes that cannot write their journals are named below the nodes. While no router leads, one that \
            stands by tells what it sees. A coordinator that a router cannot reach is told in the first line. The exit \
            code is 0 whenever a router could be asked, and 3 when none answers; what the nodes' own health addresses \
            say is printed then.

            Example: rollcall status topology/local.yaml --watch
            """)

    @OptionGroup var topology: TopologyArgument
    @Flag(help: "Show it again every second, until Ctrl-C.")
    var watch = false
    @OptionGroup var json: JSONOption

    static let interval: Duration = .seconds(1)

    func run() async throws {
        let loaded = try topology.load()
        let asJSON = json.isOn
        guard watch else {
            try await loaded.withClient { client in
                guard let status = await client.status() else { throw await Self.noRouter(loaded, client) }
                try Self.show(status, asJSON: asJSON)
            }
            return
        }
        _ = try await TerminationSignals.run {
            try await loaded.withClient { client in try await Self.repeatUntilCancelled(client, asJSON: asJSON) }
        }
    }

    private static func repeatUntilCancelled(_ client: ClusterClient, asJSON: Bool) async throws {
        while !Task.isCancelled {
            let status = await client.status()
            if Task.isCancelled { return }
            if !asJSON, Console.isTerminal { Console.line("\u{1b}[H\u{1b}[2J\(Date.now.ISO8601Format())") }
            if let status {
                try show(status, asJSON: asJSON)
            } else {
                Console.error("no router answers")
            }
            try? await Task.sleep(for: interval)  // Cancelled: the loop's condition sees it.
        }
    }

    private static func show(_ status: ClusterStatus, asJSON: Bool) throws {
        if asJSON { try Console.json(status) } else { Console.line(StatusText(status).text) }
    }

    /// What can be said when no router is there: who answers at all.
    private static func noRouter(_ topology: Topology, _ client: ClusterClient) async -> CommandFailure {
        var table = Table("node", "role", "health address", "answers")
        for node in topology.nodes {
            let health: String
            switch await client.health(of: node) {
            case .healthy: health = "healthy"
            case .unhealthy(let reasons): health = "unhealthy: \(reasons)"
            case .silent: health = "no"
            }
            table.row(node.name.rawValue, node.role.name, "\(node.adminURL)/health", health)
        }
        return .unreachable(
            """
            no router of \(topology.file) answers
            \(await topology.whyNoRouterLeads(client))
            \(table.text)
            Not started yet? rollcall up \(topology.file)
            """)
    }
}

/// A status as tables.
struct StatusText {
    private let status: ClusterStatus

    init(_ status: ClusterStatus) { self.status = status }

    var text: String {
        ([status.coordinator?.complaint, wireVersions].compactMap(\.self)
            + [routers, sites, nodes, journals, topology, domains].compactMap(\.self)).joined(separator: "\n\n")
    }

    /// During a rolling upgrade: who speaks what; nil when all speak the same.
    private var wireVersions: String? {
        let known = status.nodes.filter { $0.status != .down && $0.wireVersion != nil }
        let byVersion = Dictionary(grouping: known) { $0.wireVersion ?? 0 }.sorted { $0.key < $1.key }
        guard byVersion.count > 1 else { return nil }
        return "wire versions differ: "
            + byVersion.map { "\($0.key) by \($0.value.map(\.name).joined(separator: ", "))" }.joined(separator: "; ")
    }

    private var routers: String {
        var table = Table("ROUTER", "STATE", "TERM")
        for router in status.routers {
            table.row(router.name, router.state.rawValue, router.term == 0 ? "" : String(router.term))
        }
        return table.text
    }

    /// Nil where no site asks for a quorum.
    private var sites: String? {
        guard let sites = status.sites, !sites.isEmpty else { return nil }
        var table = Table("SITE", "SERVERS", "PRESENT", "QUORUM")
        for site in sites {
            table.row(
                site.name, String(site.servers), String(site.serversPresent),
                site.hasQuorum ? "yes" : "no <- serves nothing new")
        }
        return table.text
    }

    private var nodes: String {
        var table = Table("NODE", "ROLE", "SITE", "SERVER", "STATUS", "PID", "UP")
        for node in status.nodes {
            let isUp = node.status != .down
            table.row(
                node.name, node.roles.joined(separator: ","), node.site, node.server, node.status.rawValue,
                isUp && node.pid != 0 ? String(node.pid) : "", isUp ? Self.uptime(node.uptimeSeconds) : "")
        }
        return table.text
    }

    /// Nil while all can be written.
    private var journals: String? {
        let failed = status.nodes.filter { $0.journalWritable == false }.map(\.name)
        guard !failed.isEmpty else { return nil }
        return "journal cannot be written: \(failed.joined(separator: ", ")) <- nothing is moved there"
    }

    /// Nil as long as every node goes by its own file.
    private var topology: String? {
        guard let version = status.topology, version > 0 else { return nil }
        let behind = status.nodes.filter { $0.status != .down && $0.topology ?? 0 < version }.map(\.name)
        let outdated = status.nodes.filter { $0.needsRestart == true }.map(\.name)
        return "topology: version \(version)"
            + (behind.isEmpty ? "" : "; not taken up yet by \(behind.joined(separator: ", "))")
            + (outdated.isEmpty ? "" : "; some of it waits for a restart of \(outdated.joined(separator: ", "))")
    }

    private var domains: String {
        var table = Table("DOMAIN", "POSITION", "OWNER", "STANDBYS", "USERS", "SIPUSERS", "")
        for domain in status.domains {
            let standbys = domain.standbys.map { $0.inSync ? $0.name : "\($0.name) (catching up)" }
            table.row(
                domain.name, "\(domain.epoch):\(domain.seq)", domain.owner ?? "none",
                standbys.isEmpty ? "none" : standbys.joined(separator: ", "), String(domain.contacts.user),
                String(domain.contacts.sipuser), Self.remark(domain))
        }
        return table.text
    }

    private static func remark(_ domain: ClusterStatus.Domain) -> String {
        if domain.isBeingRemoved == true { return "<- is being removed" }
        if domain.owner == nil { return "<- nobody serves it" }
        if let node = domain.movingTo { return "<- moves to \(node)" }
        if !domain.standbys.isEmpty, !domain.standbys.contains(where: \.inSync) { return "<- no standby in sync" }
        return ""
    }

    private static func uptime(_ seconds: UInt64) -> String {
        switch seconds {
        case ..<120: "\(seconds) s"
        case ..<7200: "\(seconds / 60) min"
        case ..<172_800: "\(seconds / 3600) h"
        default: "\(seconds / 86_400) d"
        }
    }
}
