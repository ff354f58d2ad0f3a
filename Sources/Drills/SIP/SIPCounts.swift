/// What the phones of a drill were answered.
package struct SIPCounts: Codable, Hashable, Sendable {
    /// Answers by status code.
    package var answers: [String: Int] = [:]
    /// Answers that no phone should get: other than 200, 401, 423 and 503, a 503 that does not say when to try again,
    /// a second 401 to right credentials, and silence until the phone gave up.
    package var errors = 0
    /// Requests sent again because no answer came in time.
    package var retransmitted = 0
    /// Requests that were never answered.
    package var unanswered = 0

    /// The first errors in words; at most `maximumExamples`.
    package var examples: [String] = []

    static let maximumExamples = 10

    mutating func note(error: String) {
        errors += 1
        if examples.count < Self.maximumExamples { examples.append(error) }
    }

    mutating func note(answer status: Int) { answers[String(status), default: 0] += 1 }
}
