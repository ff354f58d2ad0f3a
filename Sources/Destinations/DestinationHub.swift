public import ClusterRuntime
public import RegistrarEvents
import Synchronization

/// All destinations of an `sr` node: hands what owners publish to each lane that wants the domain.
public final class DestinationHub: DestinationOutlet {
    private let lanes: [Lane]

    public init(lanes: [Lane]) { self.lanes = lanes }

    public func publish(_ publication: Publication, of domain: DomainName) {
        for lane in lanes where lane.settings.filter.includes(domain) { lane.publish(publication, of: domain) }
    }

    /// The destinations that want a domain: its owner keeps a cursor for each.
    public func names(for domain: DomainName) -> [String] {
        lanes.filter { $0.settings.filter.includes(domain) }.map(\.settings.name)
    }

    /// How each fares, Kafka first, then in the order of the topology.
    public var status: [DestinationStatus] { lanes.map(\.status) }

    /// The same without what concerns single domains.
    public var summaries: [DestinationStatus] { lanes.map(\.summary) }

    public func summary(of name: String) -> DestinationStatus? {
        lanes.first { $0.settings.name == name }?.summary
    }

    /// How long what has waited longest in memory has, in milliseconds, by the names of destinations.
    public var lags: [(name: String, milliseconds: Int64)] {
        lanes.map { ($0.settings.name, $0.lagMilliseconds) }
    }

    /// Has a destination that wanted nothing any more (410) told of everything again; the others are as they were.
    /// - Returns: whether there is one of the name.
    public func resume(_ name: String) -> Bool {
        guard let lane = lanes.first(where: { $0.settings.name == name }) else { return false }
        lane.resume()
        return true
    }

    /// What is wrong, for the node's health.
    public var problems: [String] { summaries.flatMap(\.problems) }

    /// Until cancelled; then lets the destinations go.
    public func run() async {
        let (stream, continuation) = AsyncStream<Void>.makeStream()
        for await _ in stream {}
        continuation.finish()
        await withDiscardingTaskGroup { group in
            for lane in lanes { group.addTask { await lane.close() } }
        }
    }
}

/// Where lanes leave notices for owners that are made after them.
public final class NoticeRelay: Sendable {
    /// A closure by itself would be wrapped once more by every look into the mutex.
    private struct Receiver: Sendable {
        let tell: @Sendable (DestinationNotice, DomainName) -> Void
    }
    private let receiver = Mutex<Receiver?>(nil)

    public init() {}

    public func connect(_ tell: @escaping @Sendable (DestinationNotice, DomainName) -> Void) {
        receiver.withLock { $0 = Receiver(tell: tell) }
    }

    public func tell(_ notice: DestinationNotice, _ domain: DomainName) {
        receiver.withLock { $0 }?.tell(notice, domain)
    }
}
