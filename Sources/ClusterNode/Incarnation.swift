import ClusterRuntime
import Foundation

/// Draws the incarnation of a node's life, and sees to it that the node runs once only.
///
/// An incarnation is the time of the start in milliseconds, but always higher than the one before, which is kept in the
/// node's directory: a clock that was set back must not make a new life look older than the last one.
final class Incarnation: Sendable {
    let value: UInt64
    private let lock: Int32

    /// - Parameter directory: the node's own; made when missing. Held until the process ends.
    /// - Throws: `NodeFailure` when another process holds it, or it cannot be written to.
    init(directory: String, node: NodeName) throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let path = directory + "/incarnation"
        lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw NodeFailure("cannot open \(path): \(String(cString: strerror(errno)))") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            throw NodeFailure("node \(node) is running already on this machine: another process holds \(path)")
        }
        let before = UInt64(try String(contentsOfFile: path, encoding: .utf8)) ?? 0
        guard before < UInt64.max else {
            throw NodeFailure("\(path) says \(before), and nothing is higher; expected the milliseconds of a start")
        }
        value = max(before + 1, UInt64(max(0, SystemClock.wall())))
        let text = Array(String(value).utf8)
        // On the disk before anybody hears it: after a power cut the next life must still know it.
        guard pwrite(lock, text, text.count, 0) == text.count, ftruncate(lock, off_t(text.count)) == 0,
            fsync(lock) == 0
        else {
            throw NodeFailure("cannot write \(path): \(String(cString: strerror(errno)))")
        }
    }

    deinit { close(lock) }
}

/// Why a node cannot run.
public struct NodeFailure: Error, CustomStringConvertible, Sendable {
    public let description: String

    init(_ description: String) { self.description = description }
}
