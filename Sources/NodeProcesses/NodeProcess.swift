package import ClusterRuntime
package import Foundation

/// Finds the process of a node by its own command line, `rollcall node FILE NODE`, and signals it.
///
/// The process table is asked and not the router: a router's word may be of an earlier life, whose number has become
/// another process's by now.
package enum NodeProcess {
    /// The live process of a node of exactly this topology file, if this machine has one.
    package static func find(_ node: NodeName, of topologyFile: String) -> pid_t? {
        let file = canonical(topologyFile)
        // Without /proc no process is found.
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return entries.compactMap { pid_t($0) }.first { matches($0, node, file) }
    }

    /// Sends a signal to a node's process.
    /// - Returns: the process, or nil when there is none.
    package static func signal(_ number: Int32, _ node: NodeName, of topologyFile: String) -> pid_t? {
        guard let pid = find(node, of: topologyFile), kill(pid, number) == 0 else { return nil }
        return pid
    }

    private static func matches(_ pid: pid_t, _ node: NodeName, _ file: String) -> Bool {
        // A process that ends meanwhile has no command line any more, nor has a zombie.
        guard let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else { return false }
        let words = line.split(separator: 0, omittingEmptySubsequences: false).map {
            String(decoding: $0, as: UTF8.self)
        }
        guard words.count >= 4, words[1] == "node", words[3] == node.rawValue,
            words[0].hasSuffix("rollcall")
        else { return false }
        // Nobody may look at another user's process, which is none of ours then.
        let directory = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/cwd")) ?? "/"
        return canonical(words[2], from: directory) == file
    }

    private static func canonical(_ path: String, from directory: String = FileManager.default.currentDirectoryPath)
        -> String
    {
        let absolute = path.hasPrefix("/") ? path : "\(directory)/\(path)"
        guard let resolved = realpath(absolute, nil) else { return absolute }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}
