import ClusterRuntime
import Foundation

/// Shows on stderr how far many histories have come: a bar on a terminal, elsewhere a line every ten seconds.
final class SimulationDisplay {
    private let total: Int
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private var shown = SystemClock.monotonic()
    /// Columns of the bar that is on the terminal; 0 without one.
    private var width = 0

    private static let barWidth = 30
    private static let barInterval = Duration.milliseconds(200)
    private static let lineInterval = Duration.seconds(10)

    init(total: Int) { self.total = total }

    func show(_ tally: SimulationTally) {
        let now = SystemClock.monotonic()
        guard now - shown >= (isTerminal ? Self.barInterval : Self.lineInterval) else { return }
        shown = now
        write(tally)
    }

    private func write(_ tally: SimulationTally) {
        let rate = tally.rate(in: tally.elapsed)
        let left = Int(Double(total - tally.histories) / max(rate, 0.001))
        let hours = SimulationTally.rounded(tally.simulated / .seconds(3_600))
        let text =
            "\(tally.histories) of \(total) histories, \(SimulationTally.rounded(rate))/s, \(hours) simulated hours, "
            + "\(tally.failing.count) broken, \(left / 60) min \(left % 60) s left"
        guard isTerminal else { return Console.error(text) }
        let filled = Self.barWidth * tally.histories / max(total, 1)
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: Self.barWidth - filled)
        let line = "[\(bar)] \(text)"
        Console.status("\r" + line + String(repeating: " ", count: max(0, width - line.count)))
        width = line.count
    }

    /// Leaves the bar, so that something else can be printed.
    func pause() {
        if width > 0 { Console.status("\n") }
        width = 0
    }

    /// Shows the bar a last time, full.
    func end(_ tally: SimulationTally) {
        guard width > 0 else { return }
        write(tally)
        pause()
    }
}
