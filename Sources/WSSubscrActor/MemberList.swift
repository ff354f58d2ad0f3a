/// Subscribers that get the same: who joins and who leaves costs the same however many they are, since a node's clients
/// may all leave at once. In an order that depends on nothing but who came and went.
struct MemberList: Sendable {
    private(set) var ids: [SubscriberID] = []
    private var places: [SubscriberID: Int] = [:]

    var isEmpty: Bool { ids.isEmpty }

    mutating func insert(_ id: SubscriberID) {
        guard places[id] == nil else { return }
        places[id] = ids.count
        ids.append(id)
    }

    /// The last takes the place of the one that leaves.
    mutating func remove(_ id: SubscriberID) {
        guard let place = places.removeValue(forKey: id) else { return }
        let last = ids.removeLast()
        guard place < ids.count else { return }
        ids[place] = last
        places[last] = place
    }
}
