import Foundation

/// A consumer's process: lines go to its stdin, and lines come from its stdout. What it says on stderr
/// goes where ours goes.
///
/// Calls block; there is one thread, and the consumer is all that it waits for.
final class Consumer {
    enum Failure: Error, Hashable {
        case cannotStart(String)
        case ended(status: Int32)
        /// It takes nothing in, or answers nothing.
        case silent
        case lineTooLong
    }

    /// Longest answer, in bytes.
    static let maximumAnswer = 64 << 20

    private let process = Process()
    private let input: FileHandle
    private let output: FileHandle
    private let patience: Duration
    private var pending: [UInt8] = []

    /// - Parameters:
    ///   - command: the program, looked for on the PATH, and its arguments
    ///   - patience: how long it may take to read, or to answer
    init(command: [String], patience: Duration) throws(Failure) {
        self.patience = patience
        // A consumer that has ended is told by write(2), too.
        signal(SIGPIPE, SIG_IGN)
        let (stdin, stdout) = (Pipe(), Pipe())
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        process.standardInput = stdin
        process.standardOutput = stdout
        input = stdin.fileHandleForWriting
        output = stdout.fileHandleForReading
        do {
            try process.run()
        } catch {
            throw .cannotStart(error.localizedDescription)
        }
        // A consumer that does not read must not hold us up for ever.
        let flags = fcntl(input.fileDescriptor, F_GETFL)
        _ = fcntl(input.fileDescriptor, F_SETFL, flags | O_NONBLOCK)
    }

    /// Sends a line.
    func send(_ line: String) throws(Failure) {
        var bytes = Array((line + "\n").utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { write(input.fileDescriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                bytes = bytes.dropFirst(count)
            } else if count < 0, errno == EINTR {
                continue
            } else if count < 0, errno == EAGAIN {
                try wait(for: input, POLLOUT)
            } else {
                throw ending()
            }
        }
    }

    /// The next line that the consumer says.
    func receive() throws(Failure) -> String {
        while true {
            if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: pending[..<end], as: UTF8.self)
                pending.removeSubrange(...end)
                return line
            }
            guard pending.count <= Self.maximumAnswer else { throw .lineTooLong }
            try wait(for: output, POLLIN)
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = read(output.fileDescriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw ending() }
            pending += buffer[..<count]
        }
    }

    /// Ends the consumer: by the end of its input, or by force when that does not do it.
    func stop() {
        // Closed already when the consumer ended by itself.
        try? input.close()
        let deadline = ContinuousClock.now + .seconds(2)
        while process.isRunning, ContinuousClock.now < deadline { usleep(10_000) }
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }

    private func wait(for handle: FileHandle, _ events: Int32) throws(Failure) {
        var descriptor = pollfd(fd: handle.fileDescriptor, events: Int16(events), revents: 0)
        let milliseconds = Int32(clamping: Int64(patience / .milliseconds(1)))
        var result: Int32
        repeat { result = poll(&descriptor, 1, milliseconds) } while result < 0 && errno == EINTR
        if result == 0 { throw .silent }
    }

    /// It has closed its end, so it ends, or has done so.
    private func ending() -> Failure {
        stop()
        return .ended(status: process.terminationStatus)
    }
}
