import AccessTokens
import ClusterRuntime
import Logging

/// Takes over changed key sets of other issuers. One that cannot be used leaves the keys as they were, and is logged.
struct TokenKeyRefresh: Sendable {
    let tokens: AccessTokens
    let log: Logger

    /// How often the files are looked at.
    static let interval = Duration.seconds(2)

    /// Turns until cancelled.
    func run() async {
        while !Task.isCancelled {
            if tokens.hasKeySets { await turn() }
            try? await Task.sleep(for: Self.interval)  // ends early only when cancelled, which the loop sees
        }
    }

    private func turn() async {
        do throws(TokenKeyError) {
            if try await tokens.reloadIfChanged() { log.notice("the keys of other issuers were read again") }
        } catch {
            log.error("the keys of other issuers are kept as they were: \(error)")
        }
    }
}
