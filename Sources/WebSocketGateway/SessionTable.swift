import AccessTokens
import ClusterRuntime
import DequeModule
import FoundationEssentials
import RegistrarEvents

/// The session ids given out on this node, so that a client that reconnects may log in by its session.
///
/// A session lives as long as it has a connection, and for a while after its last. When the table is full the session
/// that was left first goes first; when all are in use, new ones cannot be resumed.
struct SessionTable: Sendable {
    struct Owner: Sendable, Hashable {
        let domain: DomainName
        let account: String
        /// Those of the login that began the session: whoever resumes it has no others.
        let rights: AccessRights
        /// When the token of that login expires, in seconds since 1970: nobody resumes the session after that.
        var expiresAt: Int64?
        /// Whether it has to be in the directory: not so by a token of another issuer, whose users may be nowhere else.
        var needsAccount = true
    }

    private struct Session: Sendable {
        let owner: Owner
        var connections = 1
        var leftAt: MonotonicInstant?
    }

    private let capacity: Int
    private let lifetime: Duration
    private var sessions: [String: Session] = [:]
    /// Those that were left, in order, and some that have been resumed or left again since.
    private(set) var left: Deque<(id: String, at: MonotonicInstant)> = []

    init(capacity: Int, lifetime: Duration) {
        self.capacity = capacity
        self.lifetime = lifetime
    }

    var count: Int { sessions.count }

    /// An id for a session. Whoever has it may log in by it, so it is told to its client alone; events have the part
    /// before the dot.
    static func newID() -> String { "\(UUID().uuidString).\(UUID().uuidString)".lowercased() }

    /// What everybody may know of a session's id.
    static func published(_ id: String) -> String { String(id.prefix { $0 != "." }) }

    /// A connection begins a session.
    mutating func begin(_ id: String, _ owner: Owner, at now: MonotonicInstant) {
        forgetLeft(at: now, makingRoom: true)
        guard sessions.count < capacity else { return }
        sessions[id] = Session(owner: owner)
    }

    /// A connection wants to join a session.
    /// - Returns: whose it is; nil when there is no such session any more.
    mutating func resume(_ id: String, at now: MonotonicInstant) -> Owner? {
        forgetLeft(at: now, makingRoom: false)
        guard let session = sessions[id] else { return nil }
        sessions[id]?.connections += 1
        sessions[id]?.leftAt = nil
        return session.owner
    }

    /// A connection of the session is gone.
    mutating func leave(_ id: String, at now: MonotonicInstant) {
        guard let session = sessions[id] else { return }
        sessions[id]?.connections = session.connections - 1
        guard session.connections == 1 else { return }
        sessions[id]?.leftAt = now
        left.append((id, now))
        // A session that is resumed and left over and over is there once for each time.
        if left.count > 2 * capacity { left.removeAll { sessions[$0.id]?.leftAt != $0.at } }
    }

    /// - Parameter makingRoom: for one more, if the table is full.
    private mutating func forgetLeft(at now: MonotonicInstant, makingRoom: Bool) {
        while let first = left.first, now - first.at >= lifetime || makingRoom && sessions.count >= capacity {
            left.removeFirst()
            // One that was resumed meanwhile has another time, or none.
            if sessions[first.id]?.leftAt == first.at { sessions[first.id] = nil }
        }
    }
}
