import ClusterRuntime

/// Which endpoint is asked next, and how each did when it was asked last.
///
/// Those that answer take turns, so that each is known to work before it is needed. One that failed rests: it is asked
/// after all others, and takes its turn again once `rest` is over.
struct EndpointTurns: Sendable {
    struct Endpoint: Hashable, Sendable {
        let url: String
        /// Nil before it was first asked.
        fileprivate(set) var answers: Bool?
        fileprivate var restsUntil: MonotonicInstant = .distantPast
        fileprivate var answeredAt: MonotonicInstant = .distantPast
    }

    /// How long an endpoint that failed is left alone while others answer.
    static let rest: Duration = .seconds(5)

    private(set) var endpoints: [Endpoint]
    private var turn = 0

    init(_ urls: [String]) {
        precondition(!urls.isEmpty, "etcd without an endpoint")
        endpoints = urls.map { Endpoint(url: $0) }
    }

    /// Every endpoint, in the order in which they are to be tried for one call.
    mutating func order(at now: MonotonicInstant) -> [Int] {
        let rotated = endpoints.indices.map { (turn + $0) % endpoints.count }
        turn = (turn + 1) % endpoints.count
        let resting = rotated.filter { endpoints[$0].restsUntil > now }
        return rotated.filter { endpoints[$0].restsUntil <= now }
            + resting.sorted { endpoints[$0].restsUntil < endpoints[$1].restsUntil }
    }

    /// Every endpoint, the one that answered last first: for what must not wait for an endpoint that is just found to
    /// be gone. Nobody's turn is taken.
    func surest() -> [Int] {
        endpoints.indices.sorted { left, right in
            (endpoints[left].answers != false ? 0 : 1, endpoints[right].answeredAt, left)
                < (endpoints[right].answers != false ? 0 : 1, endpoints[left].answeredAt, right)
        }
    }

    /// - Returns: whether that is news.
    mutating func answered(_ index: Int, at now: MonotonicInstant) -> Bool {
        defer {
            endpoints[index].answers = true
            endpoints[index].answeredAt = now
            endpoints[index].restsUntil = .distantPast
        }
        return endpoints[index].answers == false
    }

    /// - Returns: whether that is news.
    mutating func failed(_ index: Int, at now: MonotonicInstant) -> Bool {
        defer {
            endpoints[index].answers = false
            endpoints[index].restsUntil = now + Self.rest
        }
        return endpoints[index].answers != false
    }
}
