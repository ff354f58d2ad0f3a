import ClusterRuntime

/// Chooses what the load does next: which contact is renewed, which leaves and which comes back.
///
/// It keeps one request a contact under way. Renewals go round; a contact that left stays away until about a second's
/// worth of others have left after it, so that at any moment some are gone for certain. A quarter of the contacts is
/// left alone: a renewal would heal what a failover lost, before anybody saw it.
struct LoadPlan {
    enum Step: Hashable {
        case renew(ContactNumber)
        case leave(ContactNumber)
        case comeBack(ContactNumber)
    }

    private enum Presence { case here, away, underWay }

    private var presence: [Presence]
    private var away: [ContactNumber] = []
    private var nextToRenew = 0
    private var nextToLeave: Int
    /// The contacts that are renewed and that leave: those below.
    private let restless: Int
    private let churnPerSecond: Int

    /// How far a search for a free contact goes before it gives up for this time.
    private static let searchLimit = 256

    init(contacts: Int, churnPerSecond: Int) {
        presence = Array(repeating: .here, count: contacts)
        restless = contacts - contacts / 4
        nextToLeave = restless / 2
        self.churnPerSecond = churnPerSecond
    }

    /// The next renewal; nil when every contact in reach has a request under way.
    mutating func renewal() -> Step? {
        guard let contact = search(from: &nextToRenew) else { return nil }
        presence[contact] = .underWay
        return .renew(contact)
    }

    /// The next departure and the next return.
    mutating func churn() -> [Step] {
        var steps: [Step] = []
        if let contact = search(from: &nextToLeave) {
            presence[contact] = .underWay
            steps.append(.leave(contact))
        }
        if away.count > churnPerSecond, !away.isEmpty {
            let contact = away.removeFirst()
            presence[contact] = .underWay
            steps.append(.comeBack(contact))
        }
        return steps
    }

    mutating func finished(_ step: Step) {
        switch step {
        case .renew(let contact), .comeBack(let contact):
            presence[contact] = .here
        case .leave(let contact):
            presence[contact] = .away
            away.append(contact)
        }
    }

    private func search(from start: inout Int) -> ContactNumber? {
        for _ in 0..<min(Self.searchLimit, restless) {
            let contact = start
            start = (start + 1) % restless
            if case .here = presence[contact] { return contact }
        }
        return nil
    }
}
