public import RegistrarEvents

/// Everything nodes say to one another. One case a kind; `docs/wire.md` lists kinds and fields.
///
/// Compatibility: fields are only ever appended, a reader skips kinds and trailing fields that it does not know. What a
/// change of these asks for is in `docs/wire.md`, "Compatibility".
public enum Message: Sendable, Hashable {
    case heartbeat(Heartbeat)
    case lead(Lead)
    case assignments(AssignmentUpdate)
    case copies(CopyReports)
    case replicaChange(ReplicaChange)
    case request(Request)
    case reply(Reply)
    case follow(Follow)
    case append(Append)
    case chunk(SnapshotChunk)
    case handOver(HandOver)
    case topology(TopologyPart)
    case retire(Retire)
}

/// Node to every router, each `heartbeat` period: I live.
public struct Heartbeat: Sendable, Hashable {
    public var role: NodeRole
    /// The sender's monotonic clock in nanoseconds, to be echoed: a lease counts from here.
    public var sentAt: Int64
    /// Up to which revision the sender knows the assignments.
    public var revision: UInt64
    public var pid: UInt64
    public var uptimeMilliseconds: UInt64
    /// Of a router: the term it leads in, 0 when standby. 0 for other roles.
    public var term: UInt64
    /// Which version of the wire the sender speaks.
    public var wireVersion: UInt64
    /// The version of the active topology that the sender has; 0 when it goes by its own file.
    public var topology: UInt64
    /// Whether some of that topology waits for the sender's next start.
    public var needsRestart: Bool
    /// Of an `sr` node: whether its journal holds all that it was given. True of other roles, and of nodes that do not
    /// say.
    public var isJournalWritable: Bool
    /// The highest term that the sender has heard of; 0 of nodes that do not say.
    public var knownTerm: UInt64

    public init(
        role: NodeRole, sentAt: Int64, revision: UInt64, pid: UInt64, uptimeMilliseconds: UInt64, term: UInt64 = 0,
        wireVersion: UInt64 = WireVersion.current, topology: UInt64 = 0, needsRestart: Bool = false,
        isJournalWritable: Bool = true, knownTerm: UInt64 = 0
    ) {
        self.role = role
        self.sentAt = sentAt
        self.revision = revision
        self.pid = pid
        self.uptimeMilliseconds = uptimeMilliseconds
        self.term = term
        self.wireVersion = wireVersion
        self.topology = topology
        self.needsRestart = needsRestart
        self.isJournalWritable = isJournalWritable
        self.knownTerm = knownTerm
    }
}

/// Active router to node, in answer to a heartbeat: I lead, and heard you.
public struct Lead: Sendable, Hashable {
    /// Grows with each router that takes the lead; a node ignores lower ones.
    public var term: UInt64
    /// `sentAt` of the heartbeat that this answers. Until `sentAt` plus the owner lease nobody else is made owner of
    /// the domains for which this node is alone.
    public var echo: Int64

    public init(term: UInt64, echo: Int64) {
        self.term = term
        self.echo = echo
    }
}

/// Active router to node: all assignments whose revision lies in `from + 1 ... to`.
public struct AssignmentUpdate: Sendable, Hashable {
    public var term: UInt64
    public var from: UInt64
    public var to: UInt64
    public var assignments: [Assignment]

    public init(term: UInt64, from: UInt64, to: UInt64, assignments: [Assignment]) {
        self.term = term
        self.from = from
        self.to = to
        self.assignments = assignments
    }
}

/// `sr` to every router, each second and at once after start: all copies of domains that I hold.
public struct CopyReports: Sendable, Hashable {
    public var reports: [CopyReport]

    public init(reports: [CopyReport]) { self.reports = reports }
}

/// What one node holds of one domain.
public struct CopyReport: Sendable, Hashable {
    public var domain: DomainName
    public var position: Position
    /// Whether the copy is whole, so that a domain whose members are all gone can be restored from it.
    public var complete: Bool
    public var users: UInt64
    public var sipusers: UInt64
    /// Digest over all contacts; equal positions must have equal digests.
    public var digest: UInt64
    /// Of the assignment that the node goes by; 0 before the first of its life, and of nodes that do not say.
    public var revision: UInt64
    /// Whether the node serves the domain as its owner. False of nodes that do not say.
    public var isOwner: Bool

    public init(
        domain: DomainName, position: Position, complete: Bool, users: UInt64, sipusers: UInt64, digest: UInt64,
        revision: UInt64 = 0, isOwner: Bool = false
    ) {
        self.domain = domain
        self.position = position
        self.complete = complete
        self.users = users
        self.sipusers = sipusers
        self.digest = digest
        self.revision = revision
        self.isOwner = isOwner
    }
}

/// Owner to every router: please change the in-sync set. Holds only while the assignment is at `revision`.
public struct ReplicaChange: Sendable, Hashable {
    public enum Kind: UInt8, Sendable, Hashable {
        /// It has everything, and I wait for it from now on.
        case add = 0
        /// It does not answer in time; until this is granted I acknowledge nothing without it. Of a node that is no
        /// standby it changes nothing but the revision: what was asked for under the former one is void.
        case remove = 1
        /// The list was cleared on request: give me a new epoch, in which it starts empty.
        case clear = 2
        /// It has everything, and I took on nothing since: make it the owner, as was ordered.
        case handOver = 3
        /// Every registration has ended and everybody was told: nobody need serve the domain any more, as was ordered.
        case retire = 4
    }
    public var domain: DomainName
    public var epoch: UInt64
    public var revision: UInt64
    public var kind: Kind
    public var node: NodeID

    public init(domain: DomainName, epoch: UInt64, revision: UInt64, kind: Kind, node: NodeID) {
        self.domain = domain
        self.epoch = epoch
        self.revision = revision
        self.kind = kind
        self.node = node
    }
}

/// Active router to owner: finish what is under way, and let this standby be the owner. Holds only while the assignment
/// is at `revision`; repeated until the owner has changed or the wish has.
public struct HandOver: Sendable, Hashable {
    public var domain: DomainName
    public var epoch: UInt64
    public var revision: UInt64
    /// An in-sync standby.
    public var node: NodeID

    public init(domain: DomainName, epoch: UInt64, revision: UInt64, node: NodeID) {
        self.domain = domain
        self.epoch = epoch
        self.revision = revision
        self.node = node
    }
}

/// Gateway to owner.
public struct Request: Sendable, Hashable {
    /// Unique per sender's life; the reply carries it.
    public var id: UInt64
    public var domain: DomainName
    /// The epoch the sender believes in. An owner of another epoch refuses, so a request that was delayed over a change
    /// of owners cannot undo what came after it.
    public var epoch: UInt64
    public var operation: Operation
    /// When this attempt was sent, in nanoseconds of the sender's clock; 0: not known. The transport sets and reads it.
    public var sentAt: Int64

    public init(id: UInt64, domain: DomainName, epoch: UInt64, operation: Operation, sentAt: Int64 = 0) {
        self.id = id
        self.domain = domain
        self.epoch = epoch
        self.operation = operation
        self.sentAt = sentAt
    }

    public enum Operation: Sendable, Hashable {
        /// Register or renew for `ttl` milliseconds (the owner grants within the domain's limits).
        case register(PackedContact, ttl: UInt32)
        /// End one registration, named by its packed key.
        case unregister(key: [UInt8], reason: UnregisterReason)
        /// End all registrations of an account.
        case deleteAccount(AccountID)
        /// Change one sipuser's contacts: all of the changes or none.
        case bind(Binding)
        /// Void the whole list.
        case clear
        /// A page of the live list, from a cursor (0 first), of the whole domain or one account.
        case list(cursor: UInt32, account: AccountID?)
    }
}

/// Owner to gateway.
public struct Reply: Sendable, Hashable {
    public var id: UInt64
    public var result: Result

    public init(id: UInt64, result: Result) {
        self.id = id
        self.result = result
    }

    public enum Result: Sendable, Hashable {
        /// Committed at this position, granted for `ttl` milliseconds.
        case registered(Position, ttl: UInt32)
        /// Committed: so many contacts ended, the last at this position.
        case unregistered(Position, count: UInt32)
        /// Committed at this position: everything the account has registered now, the newest first, with the remaining
        /// milliseconds.
        case bound(Position, [LiveContact])
        /// A page: contacts with their remaining milliseconds, and where to go on (0: that was all).
        case page([LiveContact], next: UInt32, position: Position)
        case refused(Refusal)
    }
}

/// A contact with what remains of its time to live, in milliseconds.
public struct LiveContact: Sendable, Hashable {
    public var contact: PackedContact
    public var ttl: UInt32

    public init(contact: PackedContact, ttl: UInt32) {
        self.contact = contact
        self.ttl = ttl
    }
}

/// Why an owner did not do as asked. `isTransient` ones are worth another try.
public enum Refusal: Sendable, Hashable {
    /// This node does not own the domain in that epoch; ask again by a newer assignment.
    case notOwner
    /// The owner may not acknowledge now: alone without a lease.
    case unavailable
    /// Too much is waiting.
    case overloaded
    /// The time to live is under the domain's minimum (milliseconds). SIP: 423.
    case intervalTooBrief(minimum: UInt32)
    /// The account has as many contacts as its domain allows.
    case tooManyDevices(limit: UInt32)
    /// The domain has as many contacts as it may.
    case domainFull(limit: UInt32)
    /// The contact was changed by a later request of the same call (RFC 3261 section 10.3, step 7).
    case outOfOrder

    public var isTransient: Bool {
        switch self {
        case .notOwner, .unavailable, .overloaded: true
        case .intervalTooBrief, .tooManyDevices, .domainFull, .outOfOrder: false
        }
    }
}

/// Replica (standby or follower) to owner: where I am. Sent at first, with every batch taken in, and as a heartbeat;
/// it is the cumulative acknowledgement and the credit at once.
public struct Follow: Sendable, Hashable {
    public enum Role: UInt8, Sendable, Hashable {
        /// Holds the copy that failover needs; sent what is not yet committed.
        case standby = 0
        /// Serves subscribers; sent what is committed.
        case follower = 1
    }
    public var domain: DomainName
    public var role: Role
    /// The epoch of the assignment by which the replica goes; a higher one tells an owner that it is deposed.
    public var epoch: UInt64
    /// Everything up to here is applied.
    public var applied: Position
    /// Whether the copy is whole at `applied`, and free of what the epoch has not restated.
    public var complete: Bool
    /// The snapshot under way (0: none) and the next chunk it needs.
    public var snapshot: UInt64
    public var nextChunk: UInt32
    /// Something was lost: send again from here.
    public var rewind: Bool

    public init(
        domain: DomainName, role: Role, epoch: UInt64, applied: Position, complete: Bool, snapshot: UInt64,
        nextChunk: UInt32, rewind: Bool
    ) {
        self.domain = domain
        self.role = role
        self.epoch = epoch
        self.applied = applied
        self.complete = complete
        self.snapshot = snapshot
        self.nextChunk = nextChunk
        self.rewind = rewind
    }
}

/// Owner to replica: entries `base + 1 …` of the epoch's log; without entries, a heartbeat.
public struct Append: Sendable, Hashable {
    public var domain: DomainName
    public var epoch: UInt64
    public var base: UInt64
    public var entries: [LogEntry]
    /// Up to where entries are committed.
    public var committed: UInt64
    /// The sequence number by which everything live has been restated in this epoch; 0 while that goes on.
    public var replayEnd: UInt64
    /// How far each of the domain's destinations has come; for standbys alone.
    public var cursors: [DestinationCursor]
    /// How old each entry is, in milliseconds: so much of a time to live is over. Empty when all are as good as new.
    public var ages: [UInt32]

    public init(
        domain: DomainName, epoch: UInt64, base: UInt64, entries: [LogEntry], committed: UInt64, replayEnd: UInt64,
        cursors: [DestinationCursor] = [], ages: [UInt32] = []
    ) {
        self.domain = domain
        self.epoch = epoch
        self.base = base
        self.entries = entries
        self.committed = committed
        self.replayEnd = replayEnd
        self.cursors = cursors
        self.ages = ages
    }
}

/// Owner to replica: a part of a snapshot, in its place among the appends.
public struct SnapshotChunk: Sendable, Hashable {
    public var domain: DomainName
    public var epoch: UInt64
    public var snapshot: UInt64
    /// From 0; number 0 empties the replica and sets its position to `after`.
    public var index: UInt32
    /// To be taken in only by a replica that has applied exactly up to here.
    public var after: UInt64
    public var contacts: [LiveContact]
    /// In the last chunk: what the replica must hold once it has applied the log up to `seal.seq`.
    public var seal: Seal?

    public struct Seal: Sendable, Hashable {
        public var seq: UInt64
        public var count: UInt64
        public var digest: UInt64

        public init(seq: UInt64, count: UInt64, digest: UInt64) {
            self.seq = seq
            self.count = count
            self.digest = digest
        }
    }

    public init(
        domain: DomainName, epoch: UInt64, snapshot: UInt64, index: UInt32, after: UInt64, contacts: [LiveContact],
        seal: Seal?
    ) {
        self.domain = domain
        self.epoch = epoch
        self.snapshot = snapshot
        self.index = index
        self.after = after
        self.contacts = contacts
        self.seal = seal
    }
}
