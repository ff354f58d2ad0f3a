package import ClusterRuntime
package import RegistrarEvents

/// A contact of the drill's own, by number: the load registers `0 ..< registrations`.
package typealias ContactNumber = Int

/// One request of a client and what it was told. The client has one request a contact under way, never two.
package struct Operation: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// Registered or renewed, asking for this time to live.
        case register(ttl: Duration)
        case unregister
    }

    package enum Outcome: Hashable, Sendable {
        /// Committed at this position; `changed` is false for an unregistration of what was not there, which has no
        /// event of its own.
        case acknowledged(Position, changed: Bool)
        /// Committed at a position that the answer did not tell: SIP's 200. The log's event of this CSeq tells it.
        case accepted(cseq: UInt32)
        /// The cluster said no, or was never asked: certainly nothing happened.
        case refused(String)
        /// No answer, or one that leaves open what happened: it may take effect, now or a little later.
        case unknown(String)
    }

    package var contact: ContactNumber
    package var kind: Kind
    /// Just before the request left.
    package var sent: MonotonicInstant
    /// Just after the answer came, or when the client gave up.
    package var ended: MonotonicInstant
    package var outcome: Outcome
    /// Where it was sent to, where that matters.
    package var node: NodeName?
    /// What a registration said of itself, so that it can be told from others of its contact; nil where that is not
    /// known.
    package var cseq: UInt32?

    package init(
        contact: ContactNumber, kind: Kind, sent: MonotonicInstant, ended: MonotonicInstant, outcome: Outcome,
        node: NodeName? = nil, cseq: UInt32? = nil
    ) {
        self.contact = contact
        self.kind = kind
        self.sent = sent
        self.ended = ended
        self.outcome = outcome
        self.node = node
        self.cseq = cseq
    }

    package var isRegister: Bool {
        switch kind {
        case .register: true
        case .unregister: false
        }
    }

    package var position: Position? {
        switch outcome {
        case .acknowledged(let position, _): position
        case .accepted, .refused, .unknown: nil
        }
    }

    /// Why it was not acknowledged.
    package var reason: String? {
        switch outcome {
        case .acknowledged, .accepted: nil
        case .refused(let reason), .unknown(let reason): reason
        }
    }

    package var isAcknowledged: Bool {
        switch outcome {
        case .acknowledged, .accepted: true
        case .refused, .unknown: false
        }
    }
}

/// What the log held at a position, as the subscribers saw it.
package struct LoggedEvent: Hashable, Sendable {
    package enum Kind: UInt8, Hashable, Sendable { case registered, unregistered, clear }

    package var kind: Kind
    /// Nil for `clear`, and for contacts that are not the drill's.
    package var contact: ContactNumber?
    /// Whether it restates what is live after a `clear`.
    package var replay: Bool
    /// Which registration of the contact it tells of; nil where it does not say, and where the contact ended.
    package var cseq: UInt32?

    package init(_ kind: Kind, _ contact: ContactNumber?, replay: Bool = false, cseq: UInt32? = nil) {
        self.kind = kind
        self.contact = contact
        self.replay = replay
        self.cseq = cseq
    }
}

/// Everything that clients know at the end of a drill: what they asked for and were told, what they saw and what they
/// now hold.
package struct History: Sendable {
    /// In any order.
    package var operations: [Operation]
    /// What the subscribers saw in the log, put together.
    package var events: [Position: LoggedEvent]
    package var subscribers: [SubscriberRecord]
    /// The owner's list, and when it was asked for.
    package var list: Set<ContactNumber>
    /// By which request each of them was registered or renewed last, as the list says.
    package var listedCSeqs: [ContactNumber: UInt32]
    package var takenAt: MonotonicInstant

    package init(
        operations: [Operation], events: [Position: LoggedEvent], subscribers: [SubscriberRecord],
        list: Set<ContactNumber>, listedCSeqs: [ContactNumber: UInt32] = [:], takenAt: MonotonicInstant
    ) {
        self.operations = operations
        self.events = events
        self.subscribers = subscribers
        self.list = list
        self.listedCSeqs = listedCSeqs
        self.takenAt = takenAt
    }
}

/// What one subscriber ends with.
package struct SubscriberRecord: Sendable {
    package var name: String
    package var set: Set<ContactNumber>
    /// By contact, the request that registered or renewed it last; 0 where that was not told. May be shorter.
    package var cseqs: [UInt32]
    package var violations: [Violation]

    package init(name: String, set: Set<ContactNumber>, cseqs: [UInt32] = [], violations: [Violation] = []) {
        self.name = name
        self.set = set
        self.cseqs = cseqs
        self.violations = violations
    }
}

/// One broken promise.
package struct Violation: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        /// An acknowledged registration or renewal is missing.
        case lost
        /// Something that ended is still there, or a deposed owner acknowledged.
        case stale
        /// An event came twice.
        case duplicated
        /// Positions jump, go back, or disagree with one another.
        case order
    }

    package var kind: Kind
    package var contact: ContactNumber?
    package var text: String

    package init(_ kind: Kind, contact: ContactNumber? = nil, _ text: String) {
        self.kind = kind
        self.contact = contact
        self.text = text
    }
}

extension Violation: CustomStringConvertible {
    package var description: String { "\(kind.rawValue): \(text)" }
}

extension History {
    /// The contacts of these findings that were told to be void: a `clear` of a later epoch than their last
    /// acknowledgement came, and nobody holds them any more. (That each subscriber saw every `clear` follows from its
    /// positions, which are checked.)
    func voided(among violations: [Violation]) -> Set<ContactNumber> {
        let missing = Set(violations.filter { $0.kind == .lost }.compactMap(\.contact))
        let clears = events.filter { $0.value.kind == .clear }.keys
        guard !missing.isEmpty, let last = clears.map(\.epoch).max() else { return [] }
        var epochs: [ContactNumber: UInt64] = [:]
        for operation in operations where missing.contains(operation.contact) {
            guard let epoch = operation.position?.epoch else { continue }
            epochs[operation.contact] = max(epochs[operation.contact] ?? 0, epoch)
        }
        return missing.filter { contact in
            (epochs[contact] ?? .max) < last && !list.contains(contact)
                && subscribers.allSatisfy { !$0.set.contains(contact) }
        }
    }
}
