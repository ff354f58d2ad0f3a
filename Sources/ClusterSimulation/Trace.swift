import ClusterRuntime
import RegistrarEvents
import SRActor

/// The text of a history, line by line; kept only when asked for.
struct Trace {
    let isOn: Bool
    private(set) var lines: [String] = []
    /// What each node said last to another on one topic.
    private var said: [String: String] = [:]

    init(isOn: Bool) { self.isOn = isOn }

    mutating func note(_ now: MonotonicInstant, _ text: @autoclosure () -> String) {
        guard isOn else { return }
        lines.append("\(Self.time(now)) \(text())")
    }

    /// Heartbeats and their answers would hide everything else, and so would what only says again what was said last:
    /// neither is noted.
    mutating func message(
        _ now: MonotonicInstant, _ message: Message, from sender: NodeID, to name: NodeName, _ fate: String = ""
    ) {
        guard isOn, let text = Self.describe(message) else { return }
        let line = "\(sender)->\(name) \(text)\(fate)"
        if let topic = Self.repeatable(message) {
            let topic = "\(sender)->\(name) \(topic)"
            guard said.updateValue(line, forKey: topic) != line else { return }
        }
        note(now, line)
    }

    /// What a message that is sent again and again is about.
    private static func repeatable(_ message: Message) -> String? {
        switch message {
        case .follow(let follow): "follow \(follow.domain)"
        case .append(let append): append.entries.isEmpty ? "append \(append.domain)" : nil
        case .heartbeat, .lead, .copies, .chunk, .assignments, .replicaChange, .request, .handOver, .topology, .retire,
            .reply:
            nil
        }
    }

    private static func describe(_ message: Message) -> String? {
        switch message {
        case .heartbeat, .lead, .copies: nil
        case .follow(let follow):
            "follow \(follow.domain) \(follow.role) epoch \(follow.epoch) at \(follow.applied)"
                + (follow.complete ? " complete" : "")
                + (follow.snapshot > 0 ? " snapshot \(follow.snapshot)/\(follow.nextChunk)" : "")
                + (follow.rewind ? " rewind" : "")
        case .append(let append):
            "append \(append.domain) \(append.epoch):\(append.base)+\(append.entries.count) "
                + "committed \(append.committed) replayEnd \(append.replayEnd)"
        case .chunk(let chunk):
            "chunk \(chunk.domain) \(chunk.epoch) #\(chunk.snapshot)/\(chunk.index) "
                + "after \(chunk.after) \(chunk.contacts.count) contacts "
                + "seal \(chunk.seal.map { "\($0.seq)" } ?? "-")"
        case .assignments(let update): "assignments \(update.from)...\(update.to)"
        case .replicaChange(let change):
            "\(change.kind) \(change.node) in \(change.domain) epoch \(change.epoch) revision \(change.revision)"
        case .request(let request):
            "request \(request.id) \(request.domain) epoch \(request.epoch) \(describe(request.operation))"
        case .handOver(let order):
            "hand over \(order.domain) epoch \(order.epoch) revision \(order.revision) to \(order.node)"
        case .topology(let part): "topology \(part.version), part \(part.index + 1) of \(part.count)"
        case .retire(let order): "retire \(order.domain) epoch \(order.epoch) revision \(order.revision)"
        case .reply(let reply): "reply \(reply.id) \(describe(reply.result))"
        }
    }

    private static func describe(_ result: Reply.Result) -> String {
        switch result {
        case .registered(let position, let ttl): "registered at \(position) for \(Act.text(.milliseconds(Int64(ttl))))"
        case .unregistered(let position, let count): "unregistered \(count) at \(position)"
        case .bound(let position, _): "bound at \(position)"
        case .page(let contacts, _, let position): "\(contacts.count) contacts at \(position)"
        case .refused(let refusal): "refused: \(refusal)"
        }
    }

    static func describe(_ entry: LogEntry, epoch: UInt64) -> String {
        let text =
            switch entry.change {
            case .registered(let contact, let ttl, let replay):
                "registered \(text(contact)) for \(Act.text(.milliseconds(Int64(ttl))))" + (replay ? " again" : "")
            case .unregistered(let contact, let reason): "unregistered \(text(contact)): \(reason.name)"
            case .clear(let reason): "clear: \(reason.name)"
            }
        return "\(epoch):\(entry.seq) \(text)"
    }

    private static func text(_ contact: PackedContact) -> String { World.key(contact).map { "\($0)" } ?? "?" }

    static func describe(_ assignment: Assignment) -> String {
        let standbys = assignment.standbys.map { "\($0.node)\($0.inSync ? "+" : "-")" }.joined(separator: ",")
        return "\(assignment.domain) epoch \(assignment.epoch) r\(assignment.revision) "
            + "owner \(assignment.owner.map { "\($0)" } ?? "-") [\(standbys)] \(assignment.cause.name)"
    }

    private static func describe(_ operation: Request.Operation) -> String {
        switch operation {
        case .register(let contact, let ttl): "register \(text(contact)) for \(Act.text(.milliseconds(Int64(ttl))))"
        case .unregister: "unregister"
        case .deleteAccount(let account): "delete \(account.name)"
        case .bind(let binding): "bind \(binding.changes.count) of \(binding.account) cseq \(binding.cseq)"
        case .clear: "clear"
        case .list: "list"
        }
    }

    /// What a node becomes, continued by the domain's name.
    static func describe(_ directive: DomainMachine.Directive) -> String {
        switch directive {
        case .becameOwner(let epoch, let reason, let contacts):
            "is in epoch \(epoch) (\(reason.name)), with \(contacts) contacts, the owner of"
        case .becameStandby(let epoch, let owner): "is in epoch \(epoch), owned by \(owner), a standby of"
        case .deposed(let epoch): "is deposed by epoch \(epoch) of"
        case .handingOver(let node): "hands over to \(node)"
        case .replayEnded(let position): "has everything restated by \(position) of"
        case .retiring: "lets go of"
        case .send, .askRouters, .store, .publish, .alarm: "\(directive)"
        }
    }

    static func time(_ now: MonotonicInstant) -> String {
        let microseconds = (now.nanoseconds - 1_000_000_000_000) / 1_000
        let fraction = String(1_000_000 + microseconds % 1_000_000).dropFirst()
        return "\(microseconds / 1_000_000).\(fraction)"
    }
}
