/// Which messages and fields a node knows. Nodes tell it in their heartbeats, so that people can see when a cluster
/// consists of one version.
///
/// Nothing is decided by it: readers pass over what they do not know, so that each version works with the one before.
/// `docs/wire.md`, "Compatibility", has the list of versions and the rule.
public enum WireVersion {
    /// What this program speaks. Goes up with the first change of messages after a release.
    public static let current: UInt64 = 2
    /// Of nodes that do not say.
    public static let first: UInt64 = 1

    /// Whether a node of that version may be in one cluster with this one.
    public static func isUnderstood(_ version: UInt64) -> Bool {
        (current - 1...current + 1).contains(version)
    }
}
