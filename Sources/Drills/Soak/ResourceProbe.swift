import ClusterRuntime
import Foundation

/// What a process holds at a moment.
package struct ResourceSample: Hashable, Sendable {
    /// Since the soak began.
    package var at: Duration
    /// Which life of the node: the number of its process.
    package var process: Int32
    /// Of memory that is resident.
    package var bytes: Int
    package var descriptors: Int
    package var threads: Int

    package init(at: Duration, process: Int32, bytes: Int, descriptors: Int, threads: Int) {
        self.at = at
        self.process = process
        self.bytes = bytes
        self.descriptors = descriptors
        self.threads = threads
    }
}

/// Reads from `/proc` (proc(5)) what a process holds.
enum ResourceProbe {
    /// - Returns: nil when there is no such process (any more).
    static func sample(_ process: pid_t, at: Duration) -> ResourceSample? {
        let files = FileManager.default
        guard let memory = files.contents(atPath: "/proc/\(process)/statm"),
            let pages = String(decoding: memory, as: UTF8.self).split(separator: " ").dropFirst().first.flatMap({
                Int($0)
            }),
            // Gone meanwhile, or another user's.
            let descriptors = try? files.contentsOfDirectory(atPath: "/proc/\(process)/fd"),
            let threads = try? files.contentsOfDirectory(atPath: "/proc/\(process)/task")
        else { return nil }
        return ResourceSample(
            at: at, process: process, bytes: pages * Int(sysconf(Int32(_SC_PAGESIZE))), descriptors: descriptors.count,
            threads: threads.count)
    }
}
