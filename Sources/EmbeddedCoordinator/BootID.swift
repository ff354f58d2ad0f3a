import ClusterRuntime
import Foundation

/// The run of the machine since it was last started. Source: random(4), `/proc/sys/kernel/random/boot_id`.
enum BootID {
    static func current() throws(CoordinatorError) -> String {
        let path = "/proc/sys/kernel/random/boot_id"
        do {
            return try String(contentsOfFile: path, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
        } catch {
            throw .unavailable("\(path) cannot be read: \(error.localizedDescription)")
        }
    }
}

/// Which file a path leads to.
struct FileIdentity: Equatable, Sendable {
    private let device: UInt64
    private let inode: UInt64

    /// Nil when there is no file.
    init?(path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }
}
