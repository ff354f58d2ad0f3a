import ClusterRuntime
import RegistrarEvents

extension LaneMachine {
    func status(at now: Moment) -> DestinationStatus {
        let state: DestinationStatus.State = isGone ? .gone : failures > 0 ? .away : .up
        var status = DestinationStatus(name: settings.name, kind: settings.kind, state: state)
        status.awaySeconds = awaySince.map { Double((now.monotonic - $0.monotonic).milliseconds) / 1_000 } ?? 0
        status.lastError = lastError?.text
        status.lastErrorAt = lastError?.wall
        status.queuedBytes = UInt64(clamping: queuedBytes)
        status.spooledBytes = UInt64(clamping: spooledBytes)
        status.delivered = totals.delivered
        status.failures = totals.failures
        status.dropped = totals.dropped
        status.abandoned = totals.abandoned
        status.uncovered = totals.uncovered
        status.rejected = totals.rejected
        status.resyncs = totals.resyncs
        for (domain, stream) in streams.sorted(by: { $0.key < $1.key }) {
            status.queuedEvents += UInt64(stream.queue.count)
            status.spooledEvents += UInt64(stream.spooledEvents)
            status.domains.append(stream.status(of: domain, at: now))
        }
        return status
    }
}

extension LaneStream {
    fileprivate func status(of domain: DomainName, at now: Moment) -> DestinationStatus.Domain {
        DestinationStatus.Domain(
            name: domain.rawValue, delivered: "\(acknowledged)", published: "\(seen)",
            waiting: UInt64(queue.count + spooledEvents),
            lagMilliseconds: queue.first.map { max(0, now.wall - $0.entry.timestamp) } ?? 0,
            isBeingRestated: replay != .none)
    }
}
