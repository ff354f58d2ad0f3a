/// Why a plugin does not have a batch.
package enum PluginFailure: Error, Hashable, Sendable {
    /// To be tried again, after this long where the plugin said so.
    case unavailable(String, after: Duration?)
    /// Set up wrongly, here or there. To be tried again, seldom: nothing is skipped.
    case misconfigured(String)
    /// The plugin wants nothing any more.
    case gone(String)
}

extension PluginFailure: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unavailable(let reason, _), .misconfigured(let reason), .gone(let reason): reason
        }
    }
}

/// What became of a batch.
package struct PluginOutcome: Hashable, Sendable {
    /// How many of its first entries the plugin has.
    package var taken: Int
    /// Why it does not have the others.
    package var failure: PluginFailure?

    package init(taken: Int, failure: PluginFailure? = nil) {
        self.taken = taken
        self.failure = failure
    }
}
