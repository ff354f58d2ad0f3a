import ClusterRuntime
import Foundation
import NodeProcesses
import Synchronization

/// The machines of a topology on one machine: a network namespace for each address of its servers, all joined by a
/// switch of the drill's own, at which links can be cut and made slow. Clients, which are in this process, reach every
/// host whatever happens to the links between hosts: so there are some on each side of a cut.
///
/// To be made in a `PrivateNetwork`. The namespaces have no names: they are gone when the last process in them is, and
/// all of those die with this one.
final class HostNetwork: Sendable {
    /// By number, as the links know them.
    let addresses: [String]
    private let sites: [[Int]]
    private let topology: Topology
    private let packetSwitch: PacketSwitch
    /// A process a host that does nothing but keep its namespace.
    private let keepers: [ChildProcess]

    /// Of the range for tests of networks (RFC 2544), so that it is no host's.
    private static let clients = "198.18.0.1"
    private static let maximumHosts = 64
    /// Packets that may wait at an interface; a burst of a second must fit.
    private static let queueLength = 10_000
    private static let path = "PATH=/usr/sbin:/sbin:/usr/bin:/bin"

    /// What of a topology does not go on hosts of their own.
    static func problems(_ topology: Topology) -> [FileProblem] {
        var wrong: [String] = []
        let addresses = Self.addresses(of: topology)
        for address in addresses where NetworkAddress.isLoopback(address) || bytes(of: address) == nil {
            wrong.append("a server's address is \(address)")
        }
        if addresses.count > maximumHosts { wrong.append("the servers have \(addresses.count) addresses") }
        return wrong.map {
            FileProblem(
                file: topology.file, line: 1, wrong: $0,
                expected: "loopback alone, or at most \(maximumHosts) IPv4 addresses, for a drill to make hosts of")
        }
    }

    /// Makes the namespaces and joins them.
    /// - Throws: `DrillFailure.noNetwork`.
    static func make(for topology: Topology) async throws -> HostNetwork {
        let addresses = addresses(of: topology)
        var ports: [PacketSwitch.Port] = []
        var keepers: [ChildProcess] = []
        do {
            let clients = try TunDevice(name: "clients")
            ports.append(.init(device: clients, address: bytes(of: Self.clients) ?? [], host: nil))
            let routes = addresses.map { "ip route add \($0)/32 dev clients src \(Self.clients)" }
            try await run(settingUp("clients", Self.clients) + routes)
            for (number, address) in addresses.enumerated() {
                let keeper = try await keepNamespace()
                keepers.append(keeper)
                let name = "host\(number)"
                ports.append(.init(device: try TunDevice(name: name), address: bytes(of: address) ?? [], host: number))
                try await run(["ip link set \(name) netns \(keeper.pid)"])
                try await run(settingUp(name, address) + ["ip route add default dev \(name)"], in: keeper)
            }
        } catch {
            for port in ports { port.device.close() }
            for keeper in keepers { keeper.signal(SIGKILL) }
            throw DrillFailure.noNetwork("the hosts' network cannot be made: \(error)")
        }
        let packetSwitch = PacketSwitch(ports: ports, hosts: addresses.count)
        packetSwitch.start()
        return HostNetwork(topology, addresses, packetSwitch, keepers)
    }

    private init(
        _ topology: Topology, _ addresses: [String], _ packetSwitch: PacketSwitch, _ keepers: [ChildProcess]
    ) {
        self.topology = topology
        self.addresses = addresses
        self.packetSwitch = packetSwitch
        self.keepers = keepers
        sites = topology.sites.map { site in
            site.servers.compactMap { addresses.firstIndex(of: $0.address) }
        }
    }

    /// Ends what keeps the namespaces; what still runs in one goes on until it is ended itself.
    func stop() async {
        packetSwitch.stop()
        for keeper in keepers {
            keeper.signal(SIGKILL)
            _ = await keeper.wait()
        }
    }

    /// The hosts with a server or a site of this name.
    func hosts(named name: String) -> Set<Int> {
        let servers = topology.sites.flatMap(\.servers).filter { $0.name == name }.map(\.address)
        if let site = topology.sites.firstIndex(where: { $0.name == name }) { return Set(sites[site]) }
        return Set(servers.compactMap { addresses.firstIndex(of: $0) })
    }

    func host(of address: String) -> Int? { addresses.firstIndex(of: address) }

    var everywhere: Set<Int> { Set(addresses.indices) }

    /// The nodes on these hosts.
    func nodes(on hosts: Set<Int>) -> [NodeSpec] {
        topology.nodes.filter { node in host(of: node.address).map(hosts.contains) ?? false }
    }

    func change(_ side: Set<Int>, _ way: DrillFile.Way, _ change: (inout LinkTable.Fault) -> Void) {
        packetSwitch.links.withLock { $0.change(side, way, change) }
    }

    var counts: LinkTable.Counts { packetSwitch.links.withLock(\.counts) }

    /// A command as it has to be given for the program to run on a host, and to die with this process.
    func command(_ command: ChildProcess.Command, on address: String) -> ChildProcess.Command {
        guard let host = host(of: address) else { preconditionFailure("\(address) is no host of this network") }
        return Self.command(command, in: keepers[host])
    }

    private static func command(_ command: ChildProcess.Command, in keeper: ChildProcess) -> ChildProcess.Command {
        var result = command
        result.executable = "/usr/bin/setpriv"
        result.arguments =
            ["--pdeathsig", "KILL", "/usr/bin/nsenter", "--net=/proc/\(keeper.pid)/ns/net", "--", command.executable]
            + command.arguments
        return result
    }

    // MARK: Making it

    private static func addresses(of topology: Topology) -> [String] {
        topology.sites.flatMap(\.servers).map(\.address).reduce(into: []) { found, address in
            if !found.contains(address) { found.append(address) }
        }
    }

    private static func bytes(of address: String) -> [UInt8]? {
        var parsed = in_addr()
        guard inet_pton(AF_INET, address, &parsed) == 1 else { return nil }
        return withUnsafeBytes(of: parsed.s_addr) { Array($0) }
    }

    private static func settingUp(_ device: String, _ address: String) -> [String] {
        [
            "ip link set lo up", "ip addr add \(address)/32 dev \(device)",
            "ip link set \(device) txqueuelen \(queueLength) up",
        ]
    }

    /// In a new network, not even loopback is there.
    static func startLoopback() async throws { try await run(["ip link set lo up"]) }

    private static func run(_ commands: [String], in keeper: ChildProcess? = nil) async throws {
        let log = FileManager.default.temporaryDirectory.appendingPathComponent("rollcall-hosts-\(getpid())").path
        defer { try? FileManager.default.removeItem(atPath: log) }  // Left behind, it does no harm.
        let script = ([path] + commands).joined(separator: " && ")
        var command = ChildProcess.Command(executable: "/bin/sh", arguments: ["-c", script], log: log)
        if let keeper { command = Self.command(command, in: keeper) }
        let ending = await (try ChildProcess.start(command)).wait()
        guard ending != .exited(0) else { return }
        let said = FileManager.default.contents(atPath: log).map { String(decoding: $0, as: UTF8.self) } ?? ""
        throw TunDevice.Failure(description: "\(script): \(ending)\n\(said)")
    }

    /// Starts a process in a new namespace, and waits until it is there.
    private static func keepNamespace() async throws -> ChildProcess {
        let keeper = try await ChildProcess.start(
            .init(
                executable: "/usr/bin/setpriv",
                arguments: ["--pdeathsig", "KILL", "/usr/bin/unshare", "--net", "/bin/sleep", "infinity"]))
        let files = FileManager.default
        let own = try files.destinationOfSymbolicLink(atPath: "/proc/self/ns/net")
        let deadline = SystemClock.monotonic() + .seconds(10)
        while SystemClock.monotonic() < deadline, keeper.ending == nil {
            // It may have ended in this moment: the loop's condition sees it.
            if let its = try? files.destinationOfSymbolicLink(atPath: "/proc/\(keeper.pid)/ns/net"), its != own {
                return keeper
            }
            try await Task.sleep(for: .milliseconds(2))
        }
        keeper.signal(SIGKILL)
        throw TunDevice.Failure(description: "no namespace within 10 s")
    }
}
