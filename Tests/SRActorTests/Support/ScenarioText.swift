import ClusterRuntime
import RegistrarEvents
import SRActor

/// How directives and messages read in a scenario's trace.
enum ScenarioText {
    static func line(_ name: NodeName, _ directive: DomainMachine.Directive) -> String {
        switch directive {
        case .send(.replicaChange(let change), let peer):
            "\(name) asks \(peer): \(change.kind) \(change.node) at revision \(change.revision)"
        case .send(let message, let peer): "\(name) -> \(peer): \(text(message))"
        case .askRouters(let change):
            "\(name) asks routers: \(change.kind) \(change.node) at revision \(change.revision)"
        case .store(let record): "\(name) stores \(text(record))"
        case .publish(let publication): "\(name) publishes \(publication)"
        case .alarm(let text): "\(name) ALARM \(text)"
        case .becameOwner(let epoch, let cause, let contacts):
            "\(name) is owner of epoch \(epoch) (\(cause.name)), \(contacts) to restate"
        case .becameStandby(let epoch, let owner): "\(name) is standby of \(owner) in epoch \(epoch)"
        case .retiring: "\(name) is retiring"
        case .handingOver(let node): "\(name) is handing over to \(node)"
        case .deposed(let epoch): "\(name) is deposed by epoch \(epoch)"
        case .replayEnded(let position): "\(name) has everything restated by \(position)"
        }
    }

    static func line(_ name: NodeName, _ directive: ReplicaReceiver.Directive) -> String {
        switch directive {
        case .send(let message, let peer): "\(name) -> \(peer): \(text(message))"
        case .store(let record): "\(name) stores \(text(record))"
        case .applied(let entries, _, let epoch): "\(name) passes on epoch \(epoch): \(text(entries))"
        case .accounts(let changes):
            "\(name) has " + changes.map(text).joined(separator: ", ")
        case .resynced(let position): "\(name) starts anew at \(position)"
        case .replayed(let position, _): "\(name) has everything restated by \(position)"
        case .alarm(let text): "\(name) ALARM \(text)"
        }
    }

    static func text(_ message: Message) -> String {
        switch message {
        case .follow(let follow):
            "follow epoch \(follow.epoch) at \(follow.applied)\(follow.complete ? " complete" : "")"
                + (follow.snapshot == 0 ? "" : " amid snapshot \(follow.snapshot & 0xFFFFF), next \(follow.nextChunk)")
                + (follow.rewind ? " REWIND" : "")
        case .append(let append):
            "append epoch \(append.epoch) after \(append.base): \(text(append.entries))"
                + "; committed \(append.committed), replay end \(append.replayEnd)"
        case .chunk(let chunk):
            "chunk \(chunk.index) of snapshot \(chunk.snapshot & 0xFFFFF) after \(chunk.after): "
                + "\(chunk.contacts.count) contacts"
                + (chunk.seal.map { "; sealed at \($0.seq) with \($0.count)" } ?? "")
        case .reply(let reply): "reply \(reply.id): \(text(reply.result))"
        case .request(let request): "request \(request.id)"
        case .heartbeat, .lead, .assignments, .copies, .replicaChange, .handOver, .topology, .retire: "\(message)"
        }
    }

    static func text(_ result: Reply.Result) -> String {
        switch result {
        case .registered(let position, let ttl): "registered at \(position) for \(ttl)"
        case .unregistered(let position, let count): "unregistered \(count) by \(position)"
        case .page(let contacts, let next, let position):
            "page of \(contacts.map { name($0.contact) }) as of \(position), next \(next)"
        case .bound(let position, let contacts): "bound \(contacts.map { name($0.contact) }) at \(position)"
        case .refused(let refusal): "refused \(refusal)"
        }
    }

    static func text(_ record: JournalRecord) -> String {
        switch record {
        case .entries(let epoch, let entries): "epoch \(epoch): \(text(entries))"
        case .reset(let position): "reset at \(position)"
        case .checkpoint(let position): "checkpoint at \(position)"
        case .contacts(let contacts): "\(contacts.count) contacts"
        case .generation: "generation"
        case .sealed: "seal"
        case .swept: "sweep"
        }
    }

    static func text(_ entries: [LogEntry]) -> String {
        entries.isEmpty ? "nothing" : entries.map(text).joined(separator: ", ")
    }

    private static func text(_ change: AccountChange) -> String {
        let account = name(change.contact).prefix { $0 != "/" }
        return "\(account) \(change.isOnline ? "online" : "offline") at \(change.position)"
    }

    private static func text(_ entry: LogEntry) -> String {
        switch entry.change {
        case .registered(let contact, let ttl, let replay): "\(entry.seq) \(replay ? "=" : "+")\(name(contact)) \(ttl)"
        case .unregistered(let contact, let reason): "\(entry.seq) -\(name(contact)) \(reason.name)"
        case .clear(let reason): "\(entry.seq) clear \(reason.name)"
        }
    }

    static func name(_ contact: PackedContact) -> String {
        guard let key = try? contact.key() else { return "?" }  // what a test packed can be unpacked
        return "\(key.account.name)/\(key.contact)"
    }
}
