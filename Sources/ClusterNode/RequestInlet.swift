import ClusterRuntime

/// Brings replies and assignments to the request router in the order in which they came, from callers that cannot wait.
final class RequestInlet: Sendable {
    private enum Item: Sendable {
        case replies([Reply], from: NodeID)
        case assigned([Assignment])
    }

    private static let limit = 65_536
    private let requests: RequestRouter
    private let mailbox = Mailbox<Item>(limit: limit)

    init(_ requests: RequestRouter) { self.requests = requests }

    func receive(_ messages: [Message], from sender: NodeID) {
        let replies = messages.compactMap { message -> Reply? in
            guard case .reply(let reply) = message else { return nil }
            return reply
        }
        if !replies.isEmpty { post(.replies(replies, from: sender)) }
    }

    func assigned(_ assignments: [Assignment]) { post(.assigned(assignments), isVital: true) }

    private func post(_ item: Item, isVital: Bool = false) {
        guard mailbox.post(CollectionOfOne(item), isVital: isVital) else { return }
        Task { await self.turn() }
    }

    private func turn() async {
        while let items = mailbox.take() {
            for item in items {
                switch item {
                case .replies(let replies, let sender): await requests.receive(replies, from: sender)
                case .assigned(let assignments): await requests.assigned(assignments)
                }
            }
        }
    }
}
