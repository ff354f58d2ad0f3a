import Foundation
import Glibc

/// This program once more, in a process of its own.
final class ChildProcess {
    private let process = Process()
    private let output = Pipe()

    init(_ arguments: [String]) throws {
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = arguments
        process.standardOutput = output
        try process.run()
    }

    /// What the child printed, once it has ended.
    func finish() throws -> Data {
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw ChildFailure(arguments: process.arguments ?? [], status: process.terminationStatus)
        }
        return data
    }

    /// Nanoseconds of CPU time that the child has used. Source: clock_getcpuclockid(3).
    var cpuTime: Int64 {
        var clock = clockid_t()
        var time = timespec()
        guard clock_getcpuclockid(process.processIdentifier, &clock) == 0, clock_gettime(clock, &time) == 0 else {
            return 0
        }
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    func stop() {
        process.terminate()
        process.waitUntilExit()
    }

    /// Runs a child that prints one JSON value.
    static func result<Value: Decodable>(_ arguments: [String]) throws -> Value {
        try JSONDecoder().decode(Value.self, from: ChildProcess(arguments).finish())
    }
}

struct ChildFailure: Error, CustomStringConvertible {
    let arguments: [String]
    let status: Int32

    var description: String { "child \(arguments.joined(separator: " ")) ended with \(status)" }
}

/// In a child: ends the process soon after its parent, also when that was killed.
func endWithParent() {
    let parent = getppid()
    Thread.detachNewThread {
        while getppid() == parent { usleep(200_000) }
        exit(1)
    }
}

/// A port that the system gave out just now, and that was given back.
func freePort() -> UInt16 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            precondition(bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0)
        }
    }
    return UInt16(bigEndian: address.sin_port)
}
