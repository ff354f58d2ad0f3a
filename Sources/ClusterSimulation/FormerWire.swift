import ClusterRuntime

/// What a program of the wire version before this one says, and what it takes in: docs/wire.md, "Compatibility".
///
/// Only what is said between nodes is of that version: what such a node decides, and what it keeps on its disk, is as
/// today. To be moved on with `WireVersion.current`; a test holds it against what version 1 wrote.
enum FormerWire {
    static let version: UInt64 = 1

    /// The message with the fields that the version had, as a reader of either version understands it.
    /// - Returns: nil for what the version has no words for: it neither says nor understands that.
    static func known(_ message: Message) -> Message? {
        switch message {
        case .heartbeat(var heartbeat):
            guard heartbeat.role != .arbiter else { return nil }
            heartbeat.wireVersion = version
            (heartbeat.topology, heartbeat.needsRestart, heartbeat.isJournalWritable) = (0, false, true)
            heartbeat.knownTerm = 0
            return .heartbeat(heartbeat)
        case .copies(var copies):
            for index in copies.reports.indices {
                (copies.reports[index].revision, copies.reports[index].isOwner) = (0, false)
            }
            return .copies(copies)
        case .request(var request):
            request.sentAt = 0
            return .request(request)
        case .append(var append):
            (append.cursors, append.ages) = ([], [])
            return .append(append)
        case .replicaChange(let change): return change.kind == .retire ? nil : message
        case .topology, .retire: return nil
        case .lead, .assignments, .reply, .follow, .chunk, .handOver: return message
        }
    }
}
