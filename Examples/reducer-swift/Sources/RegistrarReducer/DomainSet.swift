/// One domain: its contacts, and where in its order they stand.
public struct DomainSet: Sendable {
    /// With the data of each one's last event.
    public private(set) var contacts: [ContactKey: [String: JSON]] = [:]
    /// Of the last event that counted.
    public private(set) var position = Position.start
    /// False when something is missing, until the next `clear`.
    public private(set) var isWhole = false
    public private(set) var duplicates = 0
    public private(set) var deposed = 0
    public private(set) var gaps = 0
    /// The position of a snapshot, while its end was not seen: who is cut off then begins anew.
    public private(set) var restating: Position?

    public init() {}

    /// Applies a notification.
    /// - Returns: false when it says nothing new.
    @discardableResult
    public mutating func take(_ notification: Notification) -> Bool {
        let event = notification.event
        let data = event.data ?? [:]
        let type = event.class == "registrarevents" ? event.type : ""
        let isClear = type == "clear"
        let isOurs = isClear && ["snapshot", "resync"].contains(data["reason"]?.text)
        let next = notification.position
        // What is restated for us alone is not in the log, and has the position that it was taken at.
        guard next > position || (next == position && (isOurs || notification.replay == true)) else {
            if next.epoch < position.epoch {
                deposed += 1  // From an owner that was replaced.
            } else {
                duplicates += 1
            }
            return false
        }
        follow(next, isClear: isClear, isOurs: isOurs)
        position = next
        apply(type, data)
        return true
    }

    /// Is this the next event of the log? After a `clear` nothing that came before it matters.
    private mutating func follow(_ next: Position, isClear: Bool, isOurs: Bool) {
        let isNext = next == position || next == position.next
        if !isClear, !isNext, position != .start { gaps += 1 }
        isWhole = isClear || (isNext && isWhole)
        if isOurs {
            restating = next
        } else if next != position {
            restating = nil
        }
    }

    private mutating func apply(_ type: String, _ data: [String: JSON]) {
        switch type {
        case "clear": contacts.removeAll()
        case "user_registered": register("user", data)
        case "sipuser_registered": register("sipuser", data)
        case "user_unregistered": unregister("user", data)
        case "sipuser_unregistered": unregister("sipuser", data)
        default: break  // Of a later version: its place in the order counts, and no more.
        }
    }

    private mutating func register(_ kind: String, _ data: [String: JSON]) {
        guard let key = ContactKey(kind: kind, data: data) else { return }
        contacts[key] = data.filter { $0.key != "ttl" }
    }

    private mutating func unregister(_ kind: String, _ data: [String: JSON]) {
        guard let key = ContactKey(kind: kind, data: data) else { return }
        contacts[key] = nil
    }

    /// Told that everything up to a position has been sent (websockets, with `exargs.synced`).
    public mutating func synced(at position: Position) {
        if position == self.position { restating = nil }
    }
}

/// All domains of a stream, each with an order of its own.
public struct Reducer: Sendable {
    private var domains: [String: DomainSet] = [:]

    public init() {}

    /// What is known of a domain; empty when nothing is.
    public subscript(domain: String) -> DomainSet {
        get { domains[domain] ?? DomainSet() }
        // In place: a getter and a setter would copy all contacts for each event.
        _modify { yield &domains[domain, default: DomainSet()] }
    }

    /// Applies a notification to its domain.
    /// - Returns: false when it says nothing new.
    @discardableResult
    public mutating func take(_ notification: Notification) -> Bool { self[notification.domain].take(notification) }
}
