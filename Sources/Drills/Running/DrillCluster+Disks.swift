import ClusterRuntime
import Foundation
import NodeProcesses

/// Small disks for journals, so that one can be filled: a file system in memory for each `sr` node.
extension DrillCluster {
    /// Room for the journal of a drill's load, and not much more.
    static let diskSize = 64 << 20
    private static let filler = "filler"

    /// Gives each journal a disk of its own. To be done before anything runs, in a `PrivateNetwork`, whose mounts
    /// nobody else sees.
    func makeDisks() async throws {
        for node in topology.nodes(of: .sr) {
            let path = topology.journalPath(of: node.name)
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            try await Self.run("/bin/mount", ["-t", "tmpfs", "-o", "size=\(Self.diskSize)", "rollcall-drill", path])
            noteDisk(path)
        }
    }

    /// Fills a journal's disk to the last byte.
    func fillDisk(of node: NodeName) throws {
        guard directory != nil else {
            throw DrillFailure.unreachable("only a cluster that the drill has started has disks that it may fill")
        }
        let path = "\(topology.journalPath(of: node))/\(Self.filler)"
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw DrillFailure.unreachable("cannot write \(path)") }
        defer { close(descriptor) }
        // In ever smaller pieces, until not one byte is left.
        var size = 1 << 20
        while size > 0 {
            let block = [UInt8](repeating: 0, count: size)
            while write(descriptor, block, size) == size {}
            size /= 2
        }
    }

    func freeDisk(of node: NodeName) { unlink("\(topology.journalPath(of: node))/\(Self.filler)") }

    func removeDisks() async {
        for path in takeDisks() {
            // It goes with the last process that sees it in any case.
            try? await Self.run("/bin/umount", ["--lazy", path])
        }
    }

    private static func run(_ program: String, _ arguments: [String]) async throws {
        let ending = await (try ChildProcess.start(.init(executable: program, arguments: arguments))).wait()
        guard ending == .exited(0) else {
            throw DrillFailure.unreachable("\(program) \(arguments.joined(separator: " ")): \(ending)")
        }
    }
}
