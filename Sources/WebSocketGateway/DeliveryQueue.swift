import RegistrarEvents
import WSSubscrActor

/// What followers have handed over for a lane's sockets and the lane has not carried out yet.
///
/// While a lane writes to thousands of sockets, more events come. They wait here, and the next round writes all of
/// them to each socket in one go: the longer rounds take, the more each write carries. What is pushed has a limit here
/// as it has at each socket: over it only an empty batch is kept, which sockets take as lost, and they are caught up
/// later.
struct DeliveryQueue {
    private let maximumBytes: Int
    private var waiting: [Delivery] = []
    /// Of what is pushed; what is pulled is a slice at most for each subscription.
    private var byteCount = 0

    /// Most bytes that batches are joined to: sockets have room for a whole batch or for nothing of it.
    private static let joinedBytes = 64 << 10

    init(maximumBytes: Int) {
        self.maximumBytes = maximumBytes
    }

    /// - Returns: whether the lane has to be woken for them.
    mutating func add(_ deliveries: [Delivery]) -> Bool {
        let wasEmpty = waiting.isEmpty
        for delivery in deliveries { add(delivery) }
        return wasEmpty && !waiting.isEmpty
    }

    private mutating func add(_ delivery: Delivery) {
        guard case .events(let batch, .pushed) = delivery.content else {
            waiting.append(delivery)
            return
        }
        guard byteCount + batch.byteCount <= maximumBytes else {
            if waiting.last.map({ !$0.isSkipped || $0.to != delivery.to }) ?? true {
                waiting.append(Delivery(to: delivery.to, .events(batch.emptied, .pushed)))
            }
            return
        }
        byteCount += batch.byteCount
        waiting.append(delivery)
    }

    /// Everything that waits. What is pushed to the same subscriptions is joined, and each gets everything in order.
    mutating func take() -> [Delivery] {
        defer {
            waiting = []
            byteCount = 0
        }
        guard waiting.count > 1 else { return waiting }
        var runs = DeliveryRuns()
        for delivery in waiting { runs.add(delivery, maximumBytes: Self.joinedBytes) }
        return runs.deliveries
    }
}

/// Deliveries, of which those that may be joined are found together.
private struct DeliveryRuns {
    /// Says almost whether two lists of subscriptions are the same.
    private struct Audience: Hashable {
        let first: SubscriberID
        let count: Int
    }

    private var runs: [(to: [SubscriberID], content: Delivery.Content, more: [EventBatch], bytes: Int)] = []
    /// The runs that batches may still be joined to.
    private var open: [Audience: Int] = [:]

    var deliveries: [Delivery] {
        runs.map { run in
            guard !run.more.isEmpty, case .events(let first, let flow) = run.content else {
                return Delivery(to: run.to, run.content)
            }
            return Delivery(to: run.to, .events(EventBatch(joining: [first] + run.more), flow))
        }
    }

    mutating func add(_ delivery: Delivery, maximumBytes: Int) {
        guard case .events(let batch, .pushed) = delivery.content, !batch.tails.isEmpty, let first = delivery.to.first
        else {
            // What its subscriptions are sent afterwards stays behind it.
            open.removeAll(keepingCapacity: true)
            runs.append((delivery.to, delivery.content, [], 0))
            return
        }
        let audience = Audience(first: first, count: delivery.to.count)
        // Comparing the lists costs nothing while nobody subscribes: then they are one array.
        if let run = open[audience], runs[run].to == delivery.to, runs[run].bytes + batch.byteCount <= maximumBytes {
            runs[run].more.append(batch)
            runs[run].bytes += batch.byteCount
        } else {
            open[audience] = runs.count
            runs.append((delivery.to, delivery.content, [], batch.byteCount))
        }
    }
}

extension Delivery {
    /// Whether it only says that there were events.
    fileprivate var isSkipped: Bool {
        if case .events(let batch, .pushed) = content { return batch.tails.isEmpty }
        return false
    }
}
