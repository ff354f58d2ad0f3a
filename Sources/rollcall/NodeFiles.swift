import ClusterRuntime
import Foundation
import Synchronization

/// The files that a supervisor keeps beside a topology: a log and a lock for each node it runs.
struct NodeFiles: Sendable {
    /// The topology file, absolute.
    let topologyFile: String
    let logDirectory: String
    private let lockDirectory: String
    private let cluster: String

    /// A log that has reached this size is put aside when its node is started; the last three are kept.
    static let maximumLogSize = 16 << 20
    static let keptLogs = 3

    /// - Throws: `CommandFailure.badInput` when the directories cannot be made.
    init(_ topology: Topology) throws {
        let file = URL(fileURLWithPath: topology.file).standardizedFileURL
        topologyFile = file.path
        let variable = file.deletingLastPathComponent().appendingPathComponent("var")
        logDirectory = variable.appendingPathComponent("log").path
        lockDirectory = variable.appendingPathComponent("run").path
        cluster = topology.cluster
        for directory in [logDirectory, lockDirectory] {
            do {
                try FileManager.default.createDirectory(
                    atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            } catch {
                throw CommandFailure.badInput("cannot make \(directory) (\(error)); expected a writable directory")
            }
        }
    }

    func log(of node: NodeName) -> String { "\(logDirectory)/\(node).log" }

    /// Puts a log that has grown large aside.
    func rotateLog(of node: NodeName) {
        let path = log(of: node)
        let files = FileManager.default
        // No log yet: nothing to put aside.
        let size = (try? files.attributesOfItem(atPath: path))?[.size] as? Int ?? 0
        guard size >= Self.maximumLogSize else { return }
        for number in stride(from: Self.keptLogs, to: 1, by: -1) {
            rename("\(path).\(number - 1)", "\(path).\(number)")
        }
        rename(path, "\(path).1")
    }

    /// How long a node's log is, in bytes.
    func logSize(of node: NodeName) -> UInt64 {
        // No log yet: it begins at 0.
        (try? FileManager.default.attributesOfItem(atPath: log(of: node)))?[.size] as? UInt64 ?? 0
    }

    /// The last lines of a node's log, for a message.
    /// - Parameter start: what stands before this byte belongs to an earlier life.
    func lastLogLines(of node: NodeName, from start: UInt64) -> [String] {
        let end = logSize(of: node)
        // A log that cannot be read has nothing to add to the message.
        guard end > start, let handle = FileHandle(forReadingAtPath: log(of: node)),
            (try? handle.seek(toOffset: max(start, end > 4096 ? end - 4096 : 0))) != nil,
            let tail = try? handle.readToEnd()
        else { return [] }
        return String(decoding: tail, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    /// Nodes that this process has the locks of, until it ends.
    private static let held = Mutex<Set<NodeName>>([])

    /// Locks the nodes against a second supervisor, for as long as this process lives.
    /// - Throws: `CommandFailure.badInput` naming the process that has one of them.
    func lock(_ nodes: [NodeName]) throws {
        for node in nodes where !Self.held.withLock({ $0.contains(node) }) {
            let path = "\(lockDirectory)/\(cluster).\(node).lock"
            let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else {
                throw CommandFailure.badInput("cannot open \(path); expected a writable directory")
            }
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                let holder =
                    FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
                let pid = holder.trimmingCharacters(in: .whitespacesAndNewlines)
                throw CommandFailure.badInput(
                    "node \(node) of \(topologyFile) is run by another `rollcall up`"
                        + (pid.isEmpty ? "" : " (process \(pid))")
                        + "; stop that one first, or name other nodes with --only")
            }
            ftruncate(descriptor, 0)
            let text = Array("\(getpid())\n".utf8)
            _ = write(descriptor, text, text.count)
            _ = Self.held.withLock { $0.insert(node) }
        }
    }
}
