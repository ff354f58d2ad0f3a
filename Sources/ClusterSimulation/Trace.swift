import ClusterRuntime
import RegistrarEvents

/// The text of a history, line by line; kept only when asked for.
struct Trace {
    let isOn: Bool
    private(set) var lines: [String] = []

    init(isOn: Bool) { self.isOn = isOn }

    mutating func note(_ now: MonotonicInstant, _ text: @autoclosure () -> String) {
        guard isOn else { return }
        lines.append("\(Self.time(now)) \(text())")
    }

    /// Heartbeats and their answers would hide everything else.
    mutating func message(_ now: MonotonicInstant, _ message: Message, from sender: NodeID, to name: NodeName) {
        guard isOn else { return }
        switch message {
        case .heartbeat, .lead, .copies: return
        case .follow(let follow):
            note(
                now,
                "\(sender)->\(name) follow \(follow.domain) \(follow.role) epoch \(follow.epoch) at \(follow.applied) "
                    + "complete=\(follow.complete) snapshot=\(follow.snapshot)/\(follow.nextChunk) "
                    + "rewind=\(follow.rewind)")
        case .append(let append):
            note(
                now,
                "\(sender)->\(name) append \(append.domain) \(append.epoch):\(append.base)+\(append.entries.count) "
                    + "committed \(append.committed) replayEnd \(append.replayEnd)")
        case .chunk(let chunk):
            note(
                now,
                "\(sender)->\(name) chunk \(chunk.domain) \(chunk.epoch) #\(chunk.snapshot)/\(chunk.index) "
                    + "after \(chunk.after) \(chunk.contacts.count) contacts "
                    + "seal \(chunk.seal.map { "\($0.seq)" } ?? "-")")
        case .assignments(let update): note(now, "\(sender)->\(name) assignments \(update.from)...\(update.to)")
        case .replicaChange(let change):
            note(
                now,
                "\(sender)->\(name) \(change.kind) \(change.node) in \(change.domain) epoch \(change.epoch) "
                    + "revision \(change.revision)")
        case .request(let request):
            note(
                now,
                "\(sender)->\(name) request \(request.id) \(request.domain) epoch \(request.epoch) "
                    + "\(Self.describe(request.operation))")
        case .handOver(let order):
            note(
                now,
                "\(sender)->\(name) hand over \(order.domain) epoch \(order.epoch) revision \(order.revision) "
                    + "to \(order.node)")
        case .topology(let part):
            note(now, "\(sender)->\(name) topology \(part.version), part \(part.index + 1) of \(part.count)")
        case .retire(let order):
            note(
                now, "\(sender)->\(name) retire \(order.domain) epoch \(order.epoch) revision \(order.revision)")
        case .reply(let reply): note(now, "\(sender)->\(name) reply \(reply.id) \(reply.result)")
        }
    }

    static func describe(_ assignment: Assignment) -> String {
        let standbys = assignment.standbys.map { "\($0.node)\($0.inSync ? "+" : "-")" }.joined(separator: ",")
        return "\(assignment.domain) epoch \(assignment.epoch) r\(assignment.revision) "
            + "owner \(assignment.owner.map { "\($0)" } ?? "-") [\(standbys)] \(assignment.cause.name)"
    }

    private static func describe(_ operation: Request.Operation) -> String {
        switch operation {
        case .register(let contact, let ttl): "register \(World.key(contact).map { "\($0)" } ?? "?") ttl \(ttl)"
        case .unregister: "unregister"
        case .deleteAccount(let account): "delete \(account.name)"
        case .bind(let binding): "bind \(binding.changes.count) of \(binding.account) cseq \(binding.cseq)"
        case .clear: "clear"
        case .list: "list"
        }
    }

    static func time(_ now: MonotonicInstant) -> String {
        let microseconds = (now.nanoseconds - 1_000_000_000_000) / 1_000
        let fraction = String(1_000_000 + microseconds % 1_000_000).dropFirst()
        return "\(microseconds / 1_000_000).\(fraction)"
    }
}
