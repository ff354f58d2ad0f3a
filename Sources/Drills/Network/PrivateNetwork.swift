package import ClusterRuntime
import Foundation
import NodeProcesses

/// A network (and mounts) of the drill's own: nothing in it is seen from outside, and it is gone with the last process
/// in it. A process gets one by becoming another: the kernel moves threads, not processes.
package enum PrivateNetwork {
    /// Set in the environment of a process that has its own.
    private static let variable = "ROLLCALL_PRIVATE_NETWORK"
    private static let unshare = "/usr/bin/unshare"

    /// Whether a topology's servers need addresses that this machine does not have.
    package static func isNeeded(by topology: Topology) -> Bool {
        topology.nodes.contains { !NetworkAddress.isLoopback($0.address) }
    }

    package static var isEntered: Bool { ProcessInfo.processInfo.environment[variable] != nil }

    /// As root there is nothing to ask for; anybody else is root in a user namespace of its own, where that is allowed.
    private static var arguments: [String] {
        (geteuid() == 0 ? [] : ["--user", "--map-root-user"]) + ["--net", "--mount"]
    }

    /// Whether this machine lets us have one; if not, why.
    package static func refusal() async -> String? {
        guard FileManager.default.fileExists(atPath: "/dev/net/tun") else {
            return "there is no /dev/net/tun (modprobe tun)"
        }
        let log = FileManager.default.temporaryDirectory
            .appendingPathComponent("rollcall-network-\(getpid())-\(UInt32.random(in: 0 ... .max))").path
        defer { try? FileManager.default.removeItem(atPath: log) }  // Left behind, it does no harm.
        do {
            let process = try await ChildProcess.start(
                .init(executable: unshare, arguments: arguments + ["/bin/sh", "-c", "ip link set lo up"], log: log))
            guard await process.wait() != .exited(0) else { return nil }
            let said = FileManager.default.contents(atPath: log).map { String(decoding: $0, as: UTF8.self) } ?? ""
            return said.trimmingCharacters(in: .whitespacesAndNewlines)
        } catch {
            return "\(error)"
        }
    }

    /// Begins this very program anew, with the same arguments, in a network of its own.
    /// - Throws: `DrillFailure.unreachable`; else it does not return.
    package static func enter(executable: String) async throws -> Never {
        if let refusal = await refusal() {
            throw DrillFailure.noNetwork(
                "this machine makes no network for hosts of their own (\(refusal)); "
                    + "it takes root, /dev/net/tun and Debian's iproute2 and util-linux")
        }
        setenv(variable, "1", 1)
        // The threads that run tasks block signals, and the next program would inherit that.
        var none = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, nil)
        let words = [unshare] + arguments + [executable] + CommandLine.arguments.dropFirst()
        let pointers = words.map { strdup($0) } + [nil]
        execv(unshare, pointers)
        throw DrillFailure.noNetwork("cannot start \(unshare): \(String(cString: strerror(errno)))")
    }
}
