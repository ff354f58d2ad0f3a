public import MessagePack
import RegistrarEvents

/// The body of a frame: an array of messages.
public enum MessageBatch {
    /// Reads a body.
    /// - Returns: the messages, and how many were of a kind that this version does not know.
    /// - Throws: what was malformed; then nothing of the body counts.
    public static func decode(
        _ body: ArraySlice<UInt8>
    ) throws(MessagePackError) -> (messages: [Message], skipped: Int) {
        try MessagePack.decode(body) { (value) throws(MessagePackError) in
            let items = try value.array()
            var messages: [Message] = []
            messages.reserveCapacity(items.count)
            for index in 0..<items.count {
                if let message = try Message(packed: try items.array(index)) { messages.append(message) }
            }
            return (messages, items.count - messages.count)
        }
    }
}

extension Message {
    /// - Returns: nil for a kind that this version does not know.
    init?(packed fields: MessagePackArray) throws(MessagePackError) {
        guard let kind = MessageKind(rawValue: try fields.unsigned(0)) else { return nil }
        switch kind {
        case .heartbeat:
            self = .heartbeat(
                Heartbeat(
                    role: try NodeRole(packed: fields.unsigned(1)), sentAt: try fields.integer(2),
                    revision: try fields.unsigned(3), pid: try fields.unsigned(4),
                    uptimeMilliseconds: try fields.unsigned(5), term: try fields.unsigned(6),
                    wireVersion: try fields.unsigned(7, default: WireVersion.first),
                    topology: try fields.unsigned(8, default: 0),
                    needsRestart: fields.count > 9 ? try fields.boolean(9) : false,
                    isJournalWritable: fields.count > 10 ? try fields.boolean(10) : true,
                    knownTerm: try fields.unsigned(11, default: 0)))
        case .lead:
            self = .lead(Lead(term: try fields.unsigned(1), echo: try fields.integer(2)))
        case .assignments:
            self = .assignments(
                AssignmentUpdate(
                    term: try fields.unsigned(1), from: try fields.unsigned(2), to: try fields.unsigned(3),
                    assignments: try fields.map(4, Assignment.init(packed:))))
        case .copies:
            self = .copies(try CopyReports(packed: fields))
        case .replicaChange:
            guard let kind = ReplicaChange.Kind(rawValue: UInt8(clamping: try fields.unsigned(4))) else {
                throw MessagePackError.unexpected("a kind of replica change (0 to 4)")
            }
            self = .replicaChange(
                ReplicaChange(
                    domain: try fields.domain(1), epoch: try fields.unsigned(2), revision: try fields.unsigned(3),
                    kind: kind, node: try NodeID(packed: fields.array(5))))
        case .request:
            self = .request(
                Request(
                    id: try fields.unsigned(1), domain: try fields.domain(2), epoch: try fields.unsigned(3),
                    operation: try Request.Operation(packed: fields.array(4)),
                    sentAt: fields.count > 5 ? try fields.integer(5) : 0))
        case .reply:
            self = .reply(
                Reply(id: try fields.unsigned(1), result: try Reply.Result(packed: fields.array(2))))
        case .follow: self = .follow(try Follow(packed: fields))
        case .append:
            self = .append(
                Append(
                    domain: try fields.domain(1), epoch: try fields.unsigned(2), base: try fields.unsigned(3),
                    entries: try fields.map(4, LogEntry.init(packed:)), committed: try fields.unsigned(5),
                    replayEnd: try fields.unsigned(6),
                    cursors: fields.count > 7 ? try fields.map(7, DestinationCursor.init(packed:)) : [],
                    ages: fields.count > 8 ? try fields.numbers(8) : []))
        case .chunk: self = .chunk(try SnapshotChunk(packed: fields))
        case .handOver:
            self = .handOver(
                HandOver(
                    domain: try fields.domain(1), epoch: try fields.unsigned(2), revision: try fields.unsigned(3),
                    node: try NodeID(packed: fields.array(4))))
        case .topology:
            self = .topology(
                TopologyPart(
                    term: try fields.unsigned(1), version: try fields.unsigned(2), since: try fields.integer(3),
                    index: UInt32(clamping: try fields.unsigned(4)), count: UInt32(clamping: try fields.unsigned(5)),
                    bytes: try fields.binary(6)))
        case .retire:
            self = .retire(
                Retire(
                    domain: try fields.domain(1), epoch: try fields.unsigned(2), revision: try fields.unsigned(3),
                    topology: try fields.unsigned(4)))
        }
    }
}

extension MessagePackArray {
    fileprivate func domain(_ index: Int) throws(MessagePackError) -> DomainName {
        guard let name = DomainName(try string(index)) else { throw MessagePackError.unexpected("a domain name") }
        return name
    }

    /// The array at `index`, of numbers; larger ones count as the largest there is.
    fileprivate func numbers(_ index: Int) throws(MessagePackError) -> [UInt32] {
        let items = try array(index)
        var numbers: [UInt32] = []
        numbers.reserveCapacity(items.count)
        for item in 0..<items.count { numbers.append(UInt32(clamping: try items.unsigned(item))) }
        return numbers
    }

    /// The array at `index`, each of its elements an array that `transform` reads.
    fileprivate func map<Element>(
        _ index: Int, _ transform: (MessagePackArray) throws(MessagePackError) -> Element
    ) throws(MessagePackError) -> [Element] {
        let items = try array(index)
        var elements: [Element] = []
        elements.reserveCapacity(items.count)
        for item in 0..<items.count { elements.append(try transform(try items.array(item))) }
        return elements
    }
}

extension NodeRole {
    fileprivate init(packed value: UInt64) throws(MessagePackError) {
        guard let role = NodeRole(rawValue: UInt8(clamping: value)) else {
            throw MessagePackError.unexpected("a role (0 to 4)")
        }
        self = role
    }
}

extension NodeID {
    fileprivate init(packed fields: MessagePackArray) throws(MessagePackError) {
        self.init(name: NodeName(try fields.string(0)), incarnation: try fields.unsigned(1))
    }
}

extension AccountID {
    fileprivate init(packed fields: MessagePackArray, at index: Int) throws(MessagePackError) {
        guard let kind = AccountKind(rawValue: UInt8(clamping: try fields.unsigned(index))) else {
            throw MessagePackError.unexpected("an account kind (0 or 1)")
        }
        self.init(kind, try fields.string(index + 1))
    }
}

extension Assignment {
    fileprivate init(packed fields: MessagePackArray) throws(MessagePackError) {
        self.init(
            domain: try fields.domain(0), epoch: try fields.unsigned(1), revision: try fields.unsigned(2),
            owner: try fields.value(3).isNull ? nil : try NodeID(packed: fields.array(3)),
            standbys: try fields.map(4) { (pair) throws(MessagePackError) in
                Standby(node: try NodeID(packed: pair.array(0)), inSync: try pair.boolean(1))
            },
            cause: try ClearReason(packed: fields.unsigned(5)), since: try fields.integer(6))
    }
}

extension CopyReports {
    fileprivate init(packed fields: MessagePackArray) throws(MessagePackError) {
        var reports = try fields.map(1, CopyReport.init(packed:))
        if fields.count > 2 {
            let parts = try fields.array(2)
            for index in 0..<min(parts.count, reports.count) {
                let part = try parts.array(index)
                reports[index].revision = try part.unsigned(0)
                reports[index].isOwner = try part.boolean(1)
            }
        }
        self.init(reports: reports)
    }
}

extension CopyReport {
    fileprivate init(packed fields: MessagePackArray) throws(MessagePackError) {
        self.init(
            domain: try fields.domain(0),
            position: Position(epoch: try fields.unsigned(1), seq: try fields.unsigned(2)),
            complete: try fields.boolean(3), users: try fields.unsigned(4), sipusers: try fields.unsigned(5),
            digest: try fields.unsigned(6))
    }
}

extension Request.Operation {
    fileprivate init(packed fields: MessagePackArray) throws(MessagePackError) {
        switch try fields.unsigned(0) {
        case 0:
            self = .register(try fields.packedContact(1), ttl: UInt32(clamping: try fields.unsigned(4)))
        case 1:
            guard let reason = UnregisterReason(rawValue: UInt8(clamping: try fields.unsigned(2))) else {
                throw MessagePackError.unexpected("a reason to unregister (0 to 3)")
            }
            self = .unregister(key: try fields.binary(1), reason: reason)
        case 2: self = .deleteAccount(try AccountID(packed: fields, at: 1))
        case 3: self = .clear
        case 4:
            self = .list(
                cursor: UInt32(clamping: try fields.unsigned(1)),
                account: fields.count > 2 ? try AccountID(packed: fields, at: 2) : nil)
        case 5: self = .bind(try Binding(packed: fields))
        default: throw MessagePackError.unexpected("an operation (0 to 5)")
        }
    }
}

extension Binding {
    fileprivate init(packed fields: MessagePackArray) throws(MessagePackError) {
        self.init(
            account: try fields.string(1), callID: try fields.string(2), cseq: UInt32(clamping: try fields.unsigned(3)),
            changes: try fields.map(4, Change.init(packed:)))
        guard isOfOneAccount else { throw MessagePackError.unexpected("changes of one account's contacts") }
    }
}

extension Binding.Change {
    fileprivate init(packed fields: MessagePackArray) throws(MessagePackError) {
        if fields.count == 1 {
            self = .remove(key: try fields.binary(0))
        } else {
            self = .put(try fields.packedContact(0), ttl: UInt32(clamping: try fields.unsigned(3)))
        }
    }
}

extension Reply.Result {
    fileprivate init(packed fields: MessagePackArray) throws(MessagePackError) {
        switch try fields.unsigned(0) {
        case 0:
            self = .registered(
                Position(epoch: try fields.unsigned(1), seq: try fields.unsigned(2)),
                ttl: UInt32(clamping: try fields.unsigned(3)))
        case 1:
            self = .unregistered(
                Position(epoch: try fields.unsigned(1), seq: try fields.unsigned(2)),
                count: UInt32(clamping: try fields.unsigned(3)))
        case 2:
            self = .page(
                try fields.map(1, LiveContact.init(packed:)), next: UInt32(clamping: try fields.unsigned(2)),
                position: Position(epoch: try fields.unsigned(3), seq: try fields.unsigned(4)))
        case 3: self = .refused(try Refusal(code: fields.unsigned(1), argument: UInt32(clamping: fields.unsigned(2))))
        case 4:
            self = .bound(
                Position(epoch: try fields.unsigned(2), seq: try fields.unsigned(3)),
                try fields.map(1, LiveContact.init(packed:)))
        default: throw MessagePackError.unexpected("a result (0 to 4)")
        }
    }
}

extension Refusal {
    fileprivate init(code: UInt64, argument: UInt32) throws(MessagePackError) {
        switch code {
        case 0: self = .notOwner
        case 1: self = .unavailable
        case 2: self = .overloaded
        case 3: self = .intervalTooBrief(minimum: argument)
        case 4: self = .tooManyDevices(limit: argument)
        case 5: self = .domainFull(limit: argument)
        case 6: self = .outOfOrder
        default: throw MessagePackError.unexpected("a refusal (0 to 6)")
        }
    }
}

extension LiveContact {
    fileprivate init(packed fields: MessagePackArray) throws(MessagePackError) {
        self.init(contact: try fields.packedContact(0), ttl: UInt32(clamping: try fields.unsigned(3)))
    }
}

extension Follow {
    fileprivate init(packed fields: MessagePackArray) throws(MessagePackError) {
        guard let role = Role(rawValue: UInt8(clamping: try fields.unsigned(2))) else {
            throw MessagePackError.unexpected("a follower's role (0 or 1)")
        }
        self.init(
            domain: try fields.domain(1), role: role, epoch: try fields.unsigned(3),
            applied: Position(epoch: try fields.unsigned(4), seq: try fields.unsigned(5)),
            complete: try fields.boolean(6), snapshot: try fields.unsigned(7),
            nextChunk: UInt32(clamping: try fields.unsigned(8)), rewind: try fields.boolean(9))
    }
}

extension DestinationCursor {
    fileprivate init(packed fields: MessagePackArray) throws(MessagePackError) {
        self.init(
            destination: try fields.string(0),
            position: Position(epoch: try fields.unsigned(1), seq: try fields.unsigned(2)))
    }
}

extension SnapshotChunk {
    fileprivate init(packed fields: MessagePackArray) throws(MessagePackError) {
        self.init(
            domain: try fields.domain(1), epoch: try fields.unsigned(2), snapshot: try fields.unsigned(3),
            index: UInt32(clamping: try fields.unsigned(4)), after: try fields.unsigned(5),
            contacts: try fields.map(6, LiveContact.init(packed:)),
            seal: try fields.value(7).isNull ? nil : try Seal(packed: fields.array(7)))
    }
}

extension SnapshotChunk.Seal {
    fileprivate init(packed fields: MessagePackArray) throws(MessagePackError) {
        self.init(seq: try fields.unsigned(0), count: try fields.unsigned(1), digest: try fields.unsigned(2))
    }
}
