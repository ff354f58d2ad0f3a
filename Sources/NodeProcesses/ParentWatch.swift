import Foundation

/// Ties a node's process to the supervisor that started it: when the supervisor is gone, however suddenly, so is the
/// node. Nothing happens in a process that no supervisor started (systemd, a shell).
package enum ParentWatch {
    /// Names the supervisor's process in a node's environment.
    package static let variable = "ROLLCALL_SUPERVISOR"

    /// Whether this process starts again when it ends with the code for that: a supervisor of ours or systemd, whose
    /// units are to say `Restart=always`, has started it. Source: SYSTEMD_EXEC_PID, systemd.exec(5).
    package static var isSupervised: Bool {
        let environment = ProcessInfo.processInfo.environment
        return environment[variable] != nil || environment["SYSTEMD_EXEC_PID"] == String(getpid())
    }

    /// To be called first in a node's process.
    /// - Returns: false when the supervisor is gone already.
    package static func begin() -> Bool {
        guard let text = ProcessInfo.processInfo.environment[variable], let supervisor = pid_t(text) else {
            return true
        }
        dieWithParent()
        // It may have died before the kernel knew our wish.
        return getppid() == supervisor
    }

    private static func dieWithParent() {
        // prctl(2) takes variable arguments, which Swift cannot call by name.
        guard let symbol = dlsym(UnsafeMutableRawPointer(bitPattern: 0), "prctl") else { return }
        typealias Prctl = @convention(c) (Int32, UInt, UInt, UInt, UInt) -> Int32
        let prctl = unsafeBitCast(symbol, to: Prctl.self)
        let parentDeathSignal: Int32 = 1
        _ = prctl(parentDeathSignal, UInt(SIGKILL), 0, 0, 0)
    }
}
