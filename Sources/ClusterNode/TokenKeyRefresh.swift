import AccessTokens
import ClusterRuntime
import Logging

/// Takes over changed key sets of other issuers. One that cannot be used leaves that issuer's keys as they were, and is
/// logged once.
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
        let news = await tokens.reloadIfChanged()
        if news.isChanged { log.notice("the keys of other issuers were read again") }
        for problem in news.problems { log.error("the keys of an issuer are kept as they were: \(problem)") }
    }
}
