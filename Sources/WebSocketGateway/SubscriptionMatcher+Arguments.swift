import Filtering
import RegistrarEvents
import WSSubscrActor

/// What `exargs` says of which events are wanted, and what of them.
extension SubscriptionMatcher {
    private static let arguments = ["filter", "mask", "changes"]

    /// Whether it says anything of that.
    static func isChanged(by extra: Parameters?) -> Bool {
        arguments.contains { extra?.members[$0] != nil }
    }

    /// Takes over what is said; what is left out stays, and null takes a filter or mask away.
    mutating func change(by extra: Parameters) throws(ReplyError) {
        if let value = extra.members["filter"] {
            filter = try Self.read("filter", value) { (value) throws(FilterError) in try Filter(value) }
        }
        if let value = extra.members["mask"] {
            mask = try Self.read("mask", value) { (value) throws(FilterError) in try Mask(value) }
        }
        if extra.has("changes") { changes = try extra.boolean("changes") }
    }

    private static func read<Value>(
        _ name: String, _ value: JSONValue, _ make: (JSONValue) throws(FilterError) -> Value
    ) throws(ReplyError) -> Value? {
        guard value != .null else { return nil }
        do {
            return try make(value)
        } catch {
            throw .badRequest(error.message(for: "exargs.\(name)"))
        }
    }
}
