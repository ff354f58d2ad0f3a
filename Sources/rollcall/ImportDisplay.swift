import ClusterRuntime
import Foundation

/// Shows on stderr how far an import has come: a bar on a terminal, elsewhere a line every few seconds.
final class ImportDisplay {
    private let start = SystemClock.monotonic()
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private var shown: MonotonicInstant
    private var hasBar = false

    private static let barWidth = 40
    private static let barInterval = Duration.milliseconds(100)
    private static let lineInterval = Duration.seconds(5)

    init() { shown = start }

    func show(_ progress: AccountImportProgress) {
        let now = SystemClock.monotonic()
        guard now - shown >= (isTerminal ? Self.barInterval : Self.lineInterval) else { return }
        shown = now
        let percent = Int(progress.share * 100)
        if isTerminal {
            let filled = Int(progress.share * Double(Self.barWidth))
            let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: Self.barWidth - filled)
            hasBar = true
            Console.status("\r[\(bar)] \(percent) %  \(progress.accounts) accounts")
        } else {
            Console.error("\(progress.accounts) accounts, \(percent) % of the file")
        }
    }

    /// Leaves the bar as it is, and the cursor under it.
    func end() {
        if hasBar { Console.status("\n") }
        hasBar = false
    }

    var elapsed: String {
        let milliseconds = (SystemClock.monotonic() - start).milliseconds
        return "\(milliseconds / 1000).\(milliseconds % 1000 / 100) s"
    }
}
