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
    /// For each audience that something pushed was dropped of, where that is said. Its sockets drop the rest as well
    /// until they are caught up, so it is said once.
    private var marks: [Audience: Int] = [:]

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
            // By the last slice of several a socket has caught up.
            marks.removeAll(keepingCapacity: true)
            waiting.append(delivery)
            return
        }
        guard byteCount + batch.byteCount <= maximumBytes else { return drop(batch, to: delivery.to) }
        byteCount += batch.byteCount
        waiting.append(delivery)
    }

    private mutating func drop(_ batch: EventBatch, to ids: [SubscriberID]) {
        guard let audience = Audience(ids) else { return }
        if let mark = marks[audience], waiting[mark].to == ids { return }
        marks[audience] = waiting.count
        waiting.append(Delivery(to: ids, .events(batch.emptied, .pushed)))
    }

    /// Everything that waits. What is pushed to the same subscriptions is joined, and each gets everything in order.
    mutating func take() -> [Delivery] {
        defer {
            waiting = []
            byteCount = 0
            marks = [:]
        }
        guard waiting.count > 1 else { return waiting }
        var runs = DeliveryRuns()
        for delivery in waiting { runs.add(delivery, maximumBytes: Self.joinedBytes) }
        return runs.deliveries
    }
}

/// Says almost whether two lists of subscriptions are the same.
private struct Audience: Hashable {
    let first: SubscriberID
    let count: Int

    /// Nil for nobody.
    init?(_ ids: [SubscriberID]) {
        guard let first = ids.first else { return nil }
        self.first = first
        count = ids.count
    }
}

/// Deliveries, of which those that may be joined are found together.
private struct DeliveryRuns {
    private struct Run {
        let to: [SubscriberID]
        let content: Delivery.Content
        var more: [EventBatch] = []
        var bytes = 0
        /// Whether batches may be joined to it: none of its subscriptions has got anything by a later one.
        var isOpen = true
    }

    private var runs: [Run] = []
    /// The last run of each audience.
    private var last: [Audience: Int] = [:]
    /// The last run of each subscription, among those before `indexed`, as far as there is more than one.
    private var lastOfEach: [SubscriberID: Int] = [:]
    private var indexed = 0

    var deliveries: [Delivery] {
        runs.map { run in
            guard !run.more.isEmpty, case .events(let first, let flow) = run.content else {
                return Delivery(to: run.to, run.content)
            }
            return Delivery(to: run.to, .events(EventBatch(joining: [first] + run.more), flow))
        }
    }

    mutating func add(_ delivery: Delivery, maximumBytes: Int) {
        guard case .events(let batch, .pushed) = delivery.content, !batch.tails.isEmpty,
            let audience = Audience(delivery.to)
        else {
            // What its subscriptions are sent afterwards stays behind it.
            last.removeAll(keepingCapacity: true)
            lastOfEach.removeAll(keepingCapacity: true)
            runs.append(Run(to: delivery.to, content: delivery.content))
            indexed = runs.count
            return
        }
        // Comparing the lists costs nothing while nobody subscribes: then they are one array.
        if let run = last[audience], runs[run].isOpen, runs[run].to == delivery.to,
            runs[run].bytes + batch.byteCount <= maximumBytes
        {
            runs[run].more.append(batch)
            runs[run].bytes += batch.byteCount
        } else {
            last[audience] = runs.count
            runs.append(Run(to: delivery.to, content: delivery.content, bytes: batch.byteCount))
            closeOvertaken()
        }
    }

    /// Closes the runs of which a subscription has got something by a later one. A list may come back to what it was
    /// after somebody has joined it and left again, and must not be joined past what was pushed meanwhile.
    private mutating func closeOvertaken() {
        // A single one has nothing before it.
        guard runs.count - indexed > 1 || !lastOfEach.isEmpty else { return }
        for run in indexed..<runs.count {
            for id in runs[run].to {
                if let earlier = lastOfEach.updateValue(run, forKey: id) { runs[earlier].isOpen = false }
            }
        }
        indexed = runs.count
    }
}
