public import MessagePack
import RegistrarEvents

/// The numbers of the kinds on the wire. A number is never used again for something else.
enum MessageKind: UInt64 {
    case heartbeat = 1
    case lead = 2
    case assignments = 3
    case copies = 4
    case replicaChange = 5
    case request = 6
    case reply = 7
    case follow = 8
    case append = 9
    case chunk = 10
    case handOver = 11
    case topology = 16
    case retire = 17
}

extension Message {
    /// Writes the message as one msgpack array `[kind, fields…]`. Source: `docs/wire.md`, "Messages".
    public func encode(into writer: inout MessagePackWriter) {
        switch self {
        case .heartbeat(let heartbeat): writer.heartbeat(heartbeat)
        case .lead(let lead):
            writer.begin(.lead, 2)
            writer.unsigned(lead.term)
            writer.integer(lead.echo)
        case .assignments(let update):
            writer.begin(.assignments, 4)
            writer.unsigned(update.term)
            writer.unsigned(update.from)
            writer.unsigned(update.to)
            writer.array(update.assignments.count)
            for assignment in update.assignments { writer.assignment(assignment) }
        case .copies(let copies):
            writer.begin(.copies, 2)
            writer.array(copies.reports.count)
            for report in copies.reports { writer.copyReport(report) }
            // Beside them, since a report cannot grow.
            writer.array(copies.reports.count)
            for report in copies.reports {
                writer.array(2)
                writer.unsigned(report.revision)
                writer.boolean(report.isOwner)
            }
        case .replicaChange(let change):
            writer.begin(.replicaChange, 5)
            writer.string(change.domain.rawValue)
            writer.unsigned(change.epoch)
            writer.unsigned(change.revision)
            writer.unsigned(UInt64(change.kind.rawValue))
            writer.nodeID(change.node)
        case .request(let request): writer.request(request)
        case .reply(let reply): writer.reply(reply)
        case .follow(let follow): writer.follow(follow)
        case .append(let append): writer.append(append)
        case .chunk(let chunk): writer.chunk(chunk)
        case .handOver(let order):
            writer.begin(.handOver, 4)
            writer.string(order.domain.rawValue)
            writer.unsigned(order.epoch)
            writer.unsigned(order.revision)
            writer.nodeID(order.node)
        case .topology(let part): writer.topology(part)
        case .retire(let order):
            writer.begin(.retire, 4)
            writer.string(order.domain.rawValue)
            writer.unsigned(order.epoch)
            writer.unsigned(order.revision)
            writer.unsigned(order.topology)
        }
    }
}

extension MessagePackWriter {
    fileprivate mutating func begin(_ kind: MessageKind, _ fields: Int) {
        array(fields + 1)
        unsigned(kind.rawValue)
    }

    fileprivate mutating func nodeID(_ node: NodeID) {
        array(2)
        string(node.name.rawValue)
        unsigned(node.incarnation)
    }

    fileprivate mutating func heartbeat(_ heartbeat: Heartbeat) {
        begin(.heartbeat, 11)
        unsigned(UInt64(heartbeat.role.rawValue))
        integer(heartbeat.sentAt)
        unsigned(heartbeat.revision)
        unsigned(heartbeat.pid)
        unsigned(heartbeat.uptimeMilliseconds)
        unsigned(heartbeat.term)
        unsigned(heartbeat.wireVersion)
        unsigned(heartbeat.topology)
        boolean(heartbeat.needsRestart)
        boolean(heartbeat.isJournalWritable)
        unsigned(heartbeat.knownTerm)
    }

    fileprivate mutating func topology(_ part: TopologyPart) {
        begin(.topology, 6)
        unsigned(part.term)
        unsigned(part.version)
        integer(part.since)
        unsigned(UInt64(part.index))
        unsigned(UInt64(part.count))
        binary(part.bytes)
    }

    fileprivate mutating func assignment(_ assignment: Assignment) {
        array(7)
        string(assignment.domain.rawValue)
        unsigned(assignment.epoch)
        unsigned(assignment.revision)
        if let owner = assignment.owner { nodeID(owner) } else { null() }
        array(assignment.standbys.count)
        for standby in assignment.standbys {
            array(2)
            nodeID(standby.node)
            boolean(standby.inSync)
        }
        unsigned(UInt64(assignment.cause.rawValue))
        integer(assignment.since)
    }

    fileprivate mutating func copyReport(_ report: CopyReport) {
        array(7)
        string(report.domain.rawValue)
        unsigned(report.position.epoch)
        unsigned(report.position.seq)
        boolean(report.complete)
        unsigned(report.users)
        unsigned(report.sipusers)
        unsigned(report.digest)
    }

    fileprivate mutating func request(_ request: Request) {
        begin(.request, 5)
        unsigned(request.id)
        string(request.domain.rawValue)
        unsigned(request.epoch)
        switch request.operation {
        case .register(let contact, let ttl):
            array(5)
            unsigned(0)
            packedContact(contact)
            unsigned(UInt64(ttl))
        case .unregister(let key, let reason):
            array(3)
            unsigned(1)
            binary(key)
            unsigned(UInt64(reason.rawValue))
        case .deleteAccount(let account):
            array(3)
            unsigned(2)
            unsigned(UInt64(account.kind.rawValue))
            string(account.name)
        case .clear:
            array(1)
            unsigned(3)
        case .bind(let binding):
            array(5)
            unsigned(5)
            string(binding.account)
            string(binding.callID)
            unsigned(UInt64(binding.cseq))
            array(binding.changes.count)
            for change in binding.changes { bindingChange(change) }
        case .list(let cursor, let account):
            array(account == nil ? 2 : 4)
            unsigned(4)
            unsigned(UInt64(cursor))
            if let account {
                unsigned(UInt64(account.kind.rawValue))
                string(account.name)
            }
        }
        integer(request.sentAt)
    }

    /// A packed contact and its time to live, or a key alone.
    private mutating func bindingChange(_ change: Binding.Change) {
        switch change {
        case .put(let contact, let ttl):
            array(4)
            packedContact(contact)
            unsigned(UInt64(ttl))
        case .remove(let key):
            array(1)
            binary(key)
        }
    }

    fileprivate mutating func reply(_ reply: Reply) {
        begin(.reply, 2)
        unsigned(reply.id)
        switch reply.result {
        case .registered(let position, let ttl):
            array(4)
            unsigned(0)
            unsigned(position.epoch)
            unsigned(position.seq)
            unsigned(UInt64(ttl))
        case .unregistered(let position, let count):
            array(4)
            unsigned(1)
            unsigned(position.epoch)
            unsigned(position.seq)
            unsigned(UInt64(count))
        case .page(let contacts, let next, let position):
            array(5)
            unsigned(2)
            liveContacts(contacts)
            unsigned(UInt64(next))
            unsigned(position.epoch)
            unsigned(position.seq)
        case .refused(let refusal):
            array(3)
            unsigned(3)
            unsigned(refusal.code)
            unsigned(UInt64(refusal.argument))
        case .bound(let position, let contacts):
            array(4)
            unsigned(4)
            liveContacts(contacts)
            unsigned(position.epoch)
            unsigned(position.seq)
        }
    }

    private mutating func liveContacts(_ contacts: [LiveContact]) {
        array(contacts.count)
        for live in contacts {
            array(4)
            packedContact(live.contact)
            unsigned(UInt64(live.ttl))
        }
    }

    fileprivate mutating func follow(_ follow: Follow) {
        begin(.follow, 9)
        string(follow.domain.rawValue)
        unsigned(UInt64(follow.role.rawValue))
        unsigned(follow.epoch)
        unsigned(follow.applied.epoch)
        unsigned(follow.applied.seq)
        boolean(follow.complete)
        unsigned(follow.snapshot)
        unsigned(UInt64(follow.nextChunk))
        boolean(follow.rewind)
    }

    fileprivate mutating func append(_ append: Append) {
        begin(.append, append.ages.isEmpty ? append.cursors.isEmpty ? 6 : 7 : 8)
        string(append.domain.rawValue)
        unsigned(append.epoch)
        unsigned(append.base)
        array(append.entries.count)
        for entry in append.entries { logEntry(entry) }
        unsigned(append.committed)
        unsigned(append.replayEnd)
        guard !append.cursors.isEmpty || !append.ages.isEmpty else { return }
        array(append.cursors.count)
        for cursor in append.cursors {
            array(3)
            string(cursor.destination)
            unsigned(cursor.position.epoch)
            unsigned(cursor.position.seq)
        }
        guard !append.ages.isEmpty else { return }
        array(append.ages.count)
        for age in append.ages { unsigned(UInt64(age)) }
    }

    fileprivate mutating func chunk(_ chunk: SnapshotChunk) {
        begin(.chunk, 7)
        string(chunk.domain.rawValue)
        unsigned(chunk.epoch)
        unsigned(chunk.snapshot)
        unsigned(UInt64(chunk.index))
        unsigned(chunk.after)
        liveContacts(chunk.contacts)
        if let seal = chunk.seal {
            array(3)
            unsigned(seal.seq)
            unsigned(seal.count)
            unsigned(seal.digest)
        } else {
            null()
        }
    }
}

extension Refusal {
    fileprivate var code: UInt64 {
        switch self {
        case .notOwner: 0
        case .unavailable: 1
        case .overloaded: 2
        case .intervalTooBrief: 3
        case .tooManyDevices: 4
        case .domainFull: 5
        case .outOfOrder: 6
        }
    }

    fileprivate var argument: UInt32 {
        switch self {
        case .notOwner, .unavailable, .overloaded, .outOfOrder: 0
        case .intervalTooBrief(let minimum): minimum
        case .tooManyDevices(let limit), .domainFull(let limit): limit
        }
    }
}
