import ClusterRuntime
import Foundation
import NodeProcesses
import RegistrarEvents

/// Reads a topic with Debian's `kcat`, a client that knows nothing of us: `PARTITION VALUE` a line. When it ends, as it
/// does while there is no broker or no topic yet, another one reads from the beginning.
struct TopicReader: Sendable {
    let broker: String
    let topic: String
    let directory: String
    /// Told of each record that has a value.
    let take: @Sendable (_ partition: Int, _ value: UnsafeRawBufferPointer) -> Void

    private static let interval: Duration = .milliseconds(50)
    /// Between the end of one and the start of the next.
    private static let pause: Duration = .milliseconds(250)
    /// Bytes that are read at a time.
    private static let chunk = 1 << 20

    /// Until cancelled.
    func run() async {
        var number = 0
        while !Task.isCancelled {
            number += 1
            await follow("\(directory)/topic-\(number)")
            try? await Task.sleep(for: Self.pause)  // Cancelled: the loop's condition sees it.
        }
    }

    private func follow(_ path: String) async {
        let command = ChildProcess.Command(
            executable: "/usr/bin/setpriv",
            arguments: [
                "--pdeathsig", "KILL", DrillBroker.client, "-C", "-q", "-u", "-b", broker, "-t", topic, "-o",
                "beginning",
                "-f", "%p %s\n", "-X", "fetch.wait.max.ms=20",
            ], log: path)
        // One that cannot be started has read nothing; the next one may.
        guard let process = try? await ChildProcess.start(command) else { return }
        defer { try? FileManager.default.removeItem(atPath: path) }  // It goes with the directory.
        // The file is there from the process's start on.
        let output = FileHandle(forReadingAtPath: path)
        defer { try? output?.close() }  // Only read from.
        var rest = Data()
        while true {
            let hasEnded = process.ending != nil || Task.isCancelled
            // What cannot be read is missing in the set, and found there.
            while let part = try? output?.read(upToCount: Self.chunk), !part.isEmpty {
                rest.append(part)
                takeLines(&rest)
            }
            if hasEnded { break }
            try? await Task.sleep(for: Self.interval)  // Cancelled: the loop ends at its next turn.
        }
        process.signal(SIGKILL)
        _ = await process.wait()
    }

    private func takeLines(_ rest: inout Data) {
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            take(rest[rest.startIndex..<end])
            rest = rest[rest.index(after: end)...]
        }
        rest = Data(rest)
    }

    /// Lines that begin with no number are what `kcat` has to say itself.
    private func take(_ line: Data) {
        guard let space = line.firstIndex(of: UInt8(ascii: " ")),
            let partition = Int(String(decoding: line[..<space], as: UTF8.self)),
            line.index(after: space) < line.endIndex
        else { return }
        line[line.index(after: space)...].withUnsafeBytes { take(partition, $0) }
    }
}
