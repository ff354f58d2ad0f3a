import ClusterRuntime
import RegistrarEvents

/// The end of a domain that the topology has no more. Its owner has ended everything before, and cleared the list.
extension Follower {
    /// Gives subscribers what there is, and ends their subscriptions.
    mutating func retire(_ assignment: Assignment, at now: Moment) -> [Directive] {
        var directives = push(at: now) + replicate(.assigned(assignment), at: now)
        for id in subscriptions.keys.sorted() {
            var answers = 0
            if case .waiting(_, let count, _) = subscriptions[id]?.state { answers = count }
            remove(id)
            directives += Array(repeating: answer(id, .refused(.unknown)), count: answers)
            directives.append(.deliver(Delivery(to: [id], .ended)))
        }
        return directives
    }
}
