package import ClusterRuntime
import RegistrarEvents

extension LaneMachine {
    func status(at now: Moment) -> DestinationStatus {
        var status = summary(at: now)
        for (domain, stream) in streams.sorted(by: { $0.key < $1.key }) {
            status.domains.append(stream.status(of: domain, at: now))
        }
        return status
    }

    /// For how long what has waited longest in memory has, in milliseconds.
    func lagMilliseconds(at now: Moment) -> Int64 { streams.values.lazy.map { $0.lag(at: now) }.max() ?? 0 }

    /// The status without what concerns single domains.
    package func summary(at now: Moment) -> DestinationStatus {
        let state: DestinationStatus.State = isGone ? .gone : failures > 0 ? .away : .up
        var status = DestinationStatus(name: settings.name, kind: settings.kind, state: state)
        status.awaySeconds = awaySince.map { Double((now.monotonic - $0.monotonic).milliseconds) / 1_000 } ?? 0
        status.lastError = lastError?.text
        status.lastErrorAt = lastError?.wall
        status.lastRejection = lastRejection
        status.queuedBytes = UInt64(clamping: queuedBytes)
        status.spooledBytes = UInt64(clamping: spooledBytes)
        status.delivered = totals.delivered
        status.failures = totals.failures
        status.dropped = totals.dropped
        status.abandoned = totals.abandoned
        status.uncovered = totals.uncovered
        status.rejected = totals.rejected
        status.resyncs = totals.resyncs
        status.domainCount = UInt64(streams.count)
        status.refusedDomains = UInt64(
            streams.values.count { stream in
                stream.refusal.map { now.monotonic - $0.since >= DestinationStatus.patience } ?? false
            })
        for stream in streams.values {
            status.queuedEvents += UInt64(stream.queue.count)
            status.spooledEvents += UInt64(stream.spooledEvents)
        }
        return status
    }
}

extension LaneStream {
    fileprivate func lag(at now: Moment) -> Int64 { queue.first.map { max(0, now.wall - $0.entry.timestamp) } ?? 0 }

    fileprivate func status(of domain: DomainName, at now: Moment) -> DestinationStatus.Domain {
        DestinationStatus.Domain(
            name: domain.rawValue, delivered: "\(acknowledged)", published: "\(seen)",
            waiting: UInt64(queue.count + spooledEvents),
            lagMilliseconds: lag(at: now), isBeingRestated: replay != .none, refusal: refusal?.why)
    }
}
