/// What a webhook's answer means for the batch that it is about.
package enum WebhookAnswer: Hashable, Sendable {
    /// The receiver has it.
    case taken
    /// The receiver wants nothing any more, until the webhook is resumed.
    case gone
    /// Too large for the receiver: less of it may do.
    case tooLarge
    /// To be tried again, after this long if the receiver said so.
    case again(after: Duration?)
    /// Something between here and there is set up wrongly. Nothing is skipped: it is tried again, seldom.
    case misconfigured

    /// The longest that a receiver may put us off by `Retry-After`.
    package static let longestDelay: Duration = .seconds(300)

    /// - Parameters:
    ///   - status: of HTTP. Redirects are not followed: where the events go is for the topology to say.
    ///   - retryAfter: the header's value; dates are not looked at.
    package init(status: UInt, retryAfter: String? = nil) {
        switch status {
        case 200..<300: self = .taken
        case 410: self = .gone
        case 413: self = .tooLarge
        case 408, 425, 429, 500...: self = .again(after: retryAfter.flatMap(Self.delay))
        default: self = .misconfigured
        }
    }

    private static func delay(_ text: String) -> Duration? {
        guard let seconds = Int64(text), seconds >= 0 else { return nil }
        return min(.seconds(seconds), longestDelay)
    }
}
