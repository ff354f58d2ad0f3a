public import ClusterRuntime

/// Who is there: the latest life of every node of the layout, and how long it has been silent.
///
/// Facts count at once: a higher incarnation means that every earlier life is gone, a refused connection means that
/// the life known so far is. Silence counts only from when this router began to listen (`listen(from:)`): what was
/// said to a former leader, or while this process was held up, was never heard here.
///
/// Invariant: `standing` changes in `heard`, `refused`, `listen` and `sweep` only, and each tells whether it did.
public struct Membership: Sendable {
    public enum Standing: Hashable, Sendable {
        case up
        /// Silent for longer than `Periods.suspect`. Nothing is taken from it.
        case suspect
        /// Gone: refused, replaced, or silent for `Periods.down`.
        case down
        /// Not heard, and too early to conclude anything.
        case unknown
    }

    public struct Member: Sendable {
        public let node: ClusterLayout.Node
        /// Of the latest life heard; 0 before the first.
        public fileprivate(set) var incarnation: UInt64 = 0
        public fileprivate(set) var standing: Standing = .unknown
        public fileprivate(set) var heartbeat: Heartbeat?
        public fileprivate(set) var lastHeard: MonotonicInstant?
        /// When it was heard first after it was not there, in this life.
        public fileprivate(set) var upSince: MonotonicInstant?
        /// When it was found down, after it had been there; nil while it is there.
        public fileprivate(set) var goneSince: MonotonicInstant?
        /// Since when this life has told that its journal does not take what it is given; nil while it does.
        public fileprivate(set) var journalFailedSince: MonotonicInstant?
        fileprivate var refusedAt: MonotonicInstant?

        /// The latest life heard.
        public var life: NodeID { NodeID(name: node.name, incarnation: incarnation) }
        public var isAlive: Bool { standing == .up || standing == .suspect }
    }

    /// In the order of names.
    public private(set) var members: [Member]
    private var places: [NodeName: Int]
    private let periods: Periods
    /// Those that ask for a quorum.
    private(set) var sites: [ClusterLayout.Site]
    private(set) var listeningSince: MonotonicInstant
    /// Whether the router has listened for long enough to tell from silence that a node is down.
    private var silenceCounts = false

    public init(_ layout: ClusterLayout, periods: Periods, listeningFrom start: MonotonicInstant) {
        members = layout.nodes.map { Member(node: $0) }
        places = Dictionary(uniqueKeysWithValues: layout.nodes.enumerated().map { ($1.name, $0) })
        sites = layout.sites
        self.periods = periods
        listeningSince = start
    }

    /// Nodes came and went; what is known of those that stay is kept.
    mutating func change(to layout: ClusterLayout) {
        members = layout.nodes.map { node in
            guard let known = self[node.name], known.node.role == node.role else { return Member(node: node) }
            var member = Member(node: node)
            member.incarnation = known.incarnation
            member.standing = known.standing
            member.heartbeat = known.heartbeat
            member.lastHeard = known.lastHeard
            member.upSince = known.upSince
            member.goneSince = known.goneSince
            member.journalFailedSince = known.journalFailedSince
            member.refusedAt = known.refusedAt
            return member
        }
        places = Dictionary(uniqueKeysWithValues: layout.nodes.enumerated().map { ($1.name, $0) })
        sites = layout.sites
    }

    public subscript(name: NodeName) -> Member? { places[name].map { members[$0] } }

    /// What is known of one life of a node. Of a node outside the layout: that it is down.
    public func standing(of life: NodeID) -> Standing {
        guard let member = self[life.name] else { return .down }
        if life.incarnation < member.incarnation { return .down }
        if life.incarnation == member.incarnation || member.refusedAt != nil { return member.standing }
        return silenceCounts ? .down : .unknown
    }

    /// Since when nodes have told that their journals do not take what they are given.
    var failedJournals: [NodeName: MonotonicInstant] {
        members.reduce(into: [:]) { failed, member in
            if let since = member.journalFailedSince { failed[member.node.name] = since }
        }
    }

    public func isAlive(_ life: NodeID) -> Bool {
        switch standing(of: life) {
        case .up, .suspect: true
        case .down, .unknown: false
        }
    }

    /// Takes in a heartbeat.
    /// - Returns: nil when it comes from a life that is over or from outside the layout, else whether a standing
    ///   changed.
    public mutating func heard(_ heartbeat: Heartbeat, from life: NodeID, at now: MonotonicInstant) -> Bool? {
        guard let place = places[life.name], life.incarnation >= members[place].incarnation else { return nil }
        if life.incarnation > members[place].incarnation {
            members[place].incarnation = life.incarnation
            members[place].refusedAt = nil
            members[place].standing = .unknown
            members[place].upSince = nil
            members[place].journalFailedSince = nil
        } else if let refusedAt = members[place].refusedAt {
            // It may have been on its way when the process ended. Whoever lives says so again in a moment.
            if now - refusedAt < periods.heartbeat { return nil }
            members[place].refusedAt = nil
        }
        members[place].heartbeat = heartbeat
        members[place].lastHeard = now
        members[place].journalFailedSince =
            heartbeat.isJournalWritable ? nil : members[place].journalFailedSince ?? now
        let changed = members[place].standing != .up
        // That this router has not heard it for a moment, and says so itself, does not make it new.
        if members[place].standing == .down || members[place].upSince == nil { members[place].upSince = now }
        members[place].goneSince = nil
        members[place].standing = .up
        return changed
    }

    /// The node's machine refused a connection: no process listens there.
    public mutating func refused(_ name: NodeName, at now: MonotonicInstant) -> Bool {
        guard let place = places[name] else { return false }
        members[place].refusedAt = now
        let changed = members[place].standing != .down
        if changed { members[place].goneSince = now }
        members[place].standing = .down
        return changed
    }

    /// Silence counts from now on only. Follow it with a `sweep`.
    public mutating func listen(from now: MonotonicInstant) { listeningSince = now }

    /// Lets time pass. Returns whether a standing changed.
    public mutating func sweep(at now: MonotonicInstant) -> Bool {
        let counts = now - listeningSince >= periods.down
        var changed = counts != silenceCounts
        silenceCounts = counts
        for place in members.indices {
            let standing = judge(members[place], at: now)
            if standing != members[place].standing {
                if standing == .down { members[place].goneSince = now }
                members[place].standing = standing
                changed = true
            }
        }
        return changed
    }

    private func judge(_ member: Member, at now: MonotonicInstant) -> Standing {
        if member.refusedAt != nil { return .down }
        guard let lastHeard = member.lastHeard else { return silenceCounts ? .down : .unknown }
        let silence = now - lastHeard
        if silence < periods.suspect { return .up }
        if silence < periods.down { return .suspect }
        return now - max(lastHeard, listeningSince) < periods.down ? .unknown : .down
    }
}
