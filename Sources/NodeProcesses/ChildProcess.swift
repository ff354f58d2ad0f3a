package import Foundation
import Synchronization

/// A process of ours: in a process group of its own, with its output in a file, and reaped.
///
/// One thread a process starts it and waits for its end. That is not only simple: a child that asked to die with its
/// parent (PR_SET_PDEATHSIG, prctl(2)) dies with the *thread* that started it, and a pool's threads come and go.
package final class ChildProcess: Sendable {
    /// How a process ended.
    package enum Ending: Hashable, Sendable, CustomStringConvertible {
        case exited(Int32)
        case killed(Int32)

        package var description: String {
            switch self {
            case .exited(let code): "exit code \(code)"
            case .killed(let signal): "signal \(signal)"
            }
        }
    }

    /// What to start.
    package struct Command: Sendable {
        package var executable: String
        package var arguments: [String]
        /// Added to this process's environment.
        package var environment: [String: String] = [:]
        /// Where stdout and stderr go, appended; nil: where ours go.
        package var log: String?

        package init(
            executable: String, arguments: [String], environment: [String: String] = [:], log: String? = nil
        ) {
            self.executable = executable
            self.arguments = arguments
            self.environment = environment
            self.log = log
        }
    }

    package struct StartError: Error, CustomStringConvertible {
        package let description: String
    }

    private struct State {
        var ending: Ending?
        var waiters: [CheckedContinuation<Ending, Never>] = []
    }

    package let pid: pid_t
    private let state = Mutex(State())

    private init(pid: pid_t) { self.pid = pid }

    /// Starts a process.
    /// - Throws: when it cannot be started or its log cannot be opened.
    package static func start(_ command: Command) async throws -> ChildProcess {
        try await withCheckedThrowingContinuation { continuation in
            let thread = Thread {
                let code: Int32
                var pid: pid_t = 0
                (code, pid) = spawn(command)
                guard code == 0 else {
                    let reason = String(cString: strerror(code))
                    continuation.resume(
                        throwing: StartError(description: "cannot start \(command.executable): \(reason)"))
                    return
                }
                let process = ChildProcess(pid: pid)
                continuation.resume(returning: process)
                process.reap()
            }
            thread.stackSize = 256 << 10
            thread.start()
        }
    }

    /// Sends a signal, unless the process has ended: its number may be another's by then.
    package func signal(_ number: Int32) {
        state.withLock { state in
            if state.ending == nil { kill(pid, number) }
        }
    }

    package var ending: Ending? { state.withLock(\.ending) }

    /// Waits for the end. Not cancellable: a signal makes it come.
    package func wait() async -> Ending {
        await withCheckedContinuation { continuation in
            let ending: Ending? = state.withLock { state in
                if state.ending == nil { state.waiters.append(continuation) }
                return state.ending
            }
            if let ending { continuation.resume(returning: ending) }
        }
    }

    /// Asks the process to end, and makes it end when it has not done so in time.
    package func stop(grace: Duration) async {
        signal(SIGTERM)
        // A stopped process takes no signal but SIGKILL and SIGCONT.
        signal(SIGCONT)
        let impatience = Task {
            try await Task.sleep(for: grace)
            signal(SIGKILL)
        }
        _ = await wait()
        impatience.cancel()
    }

    private func reap() {
        // The number stays the process's own until it is reaped under the lock, so `signal` cannot hit a stranger.
        var information = siginfo_t()
        while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
        let (ending, waiters) = state.withLock { state in
            var status: Int32 = 0
            waitpid(pid, &status, 0)
            let ending: Ending = status & 0x7f == 0 ? .exited((status >> 8) & 0xff) : .killed(status & 0x7f)
            state.ending = ending
            defer { state.waiters = [] }
            return (ending, state.waiters)
        }
        for waiter in waiters { waiter.resume(returning: ending) }
    }

    private static func spawn(_ command: Command) -> (code: Int32, pid: pid_t) {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        if let log = command.log {
            posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o640)
            posix_spawn_file_actions_adddup2(&actions, 1, 2)
        }
        keepDescriptorsToOurselves()
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        posix_spawnattr_setflags(&attributes, Int16(flags))

        let environment = ProcessInfo.processInfo.environment.merging(command.environment) { $1 }
        let words = ([command.executable] + command.arguments).map { strdup($0) } + [nil]
        let variables = environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in words + variables { free(text) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, command.executable, &actions, &attributes, words, variables)
        return (code, pid)
    }

    /// Whatever library opened a descriptor without O_CLOEXEC, a node must not hold our sockets and locks.
    private static func keepDescriptorsToOurselves() {
        // Without /proc there is nothing to be done about it.
        let open = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        for descriptor in open.compactMap({ Int32($0) }) where descriptor > 2 {
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        }
    }
}
