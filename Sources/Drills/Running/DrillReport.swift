package import ClusterClients
import ClusterRuntime
import Foundation
import Histogram
import RegistrarEvents

/// What a drill found: one run's document.
package struct DrillReport: Codable, Hashable, Sendable {
    /// The drill's name.
    package var drill: String
    package var ok: Bool
    /// Contacts that broke a promise, each counted once.
    package var lost: Int
    package var stale: Int
    package var duplicated: Int
    /// Broken positions and orders; always expected to be 0.
    package var order: Int
    /// The slowest fault's times, in milliseconds; null when there was no fault, or it never happened.
    package var detect: Double?
    package var accept: Double?
    package var gap: Double?
    package var converge: Double?
    package var acknowledged: Int
    package var failed: Int
    /// Events that all subscribers took in.
    package var delivered: Int
    package var latency: Latency
    package var faults: [Fault]
    /// What broke, in words; at most `maximumViolations`.
    package var violations: [String]
    /// What phones were answered; null when the load was not SIP.
    package var sip: SIPCounts?
    /// Contacts that are missing after a `clear` told everybody so; only where the drill allows that.
    package var voided = 0
    /// What the links between hosts did; null when the drill made no hosts.
    package var packets: Packets?
    /// What Kafka and webhooks were told, where the drill runs them.
    package var destinations: [Destination] = []
    /// What rolling restarts did; empty when the drill has none.
    package var restarts: [RestartReport] = []
    /// Of nodes to which subscribers lost their connections.
    package var connections: [NodeConnections] = []

    /// Packets between hosts, and between hosts and clients.
    package struct Packets: Codable, Hashable, Sendable {
        package var passed: Int
        package var delayed: Int
        package var lost: Int
        package var cut: Int

        init(_ counts: LinkTable.Counts) {
            passed = counts.passed
            delayed = counts.delayed
            lost = counts.lost
            cut = counts.cut
        }
    }

    package struct Destination: Codable, Hashable, Sendable {
        package var name: String
        package var contacts: Int
        package var events: Int
        /// Of the events, those that came again and those of deposed owners: a consumer passes over both.
        package var repeated: Int
        package var deposed: Int

        init(_ view: DestinationView) {
            name = view.name
            contacts = view.holds.count
            events = view.events
            repeated = view.duplicates
            deposed = view.deposed
        }
    }

    /// From request to acknowledgement, in milliseconds.
    package struct Latency: Codable, Hashable, Sendable {
        package var median: Double
        package var p99: Double
        package var max: Double

        enum CodingKeys: String, CodingKey {
            case median = "p50"
            case p99, max
        }
    }

    package struct Fault: Codable, Hashable, Sendable {
        package var step: String
        package var node: String
        package var detect: Double?
        package var accept: Double?
        package var gap: Double?
        package var converge: Double?

        enum CodingKeys: String, CodingKey {
            case step, node
            case detect = "detect_ms"
            case accept = "accept_ms"
            case gap = "gap_ms"
            case converge = "converge_ms"
        }
    }

    enum CodingKeys: String, CodingKey {
        case drill, ok, lost, stale, duplicated, order
        case detect = "detect_ms"
        case accept = "accept_ms"
        case gap = "gap_ms"
        case converge = "converge_ms"
        case acknowledged, failed, delivered
        case latency = "latency_ms"
        case faults, violations, sip, voided, packets, destinations, restarts, connections
    }

    package static let maximumViolations = 50
}

extension DrillReport {
    /// Puts together what one run gave, and judges it by what the drill expects.
    package init(
        drill: DrillFile, violations found: [Violation], operations: [Operation], sip: SIPCounts?, delivered: Int,
        faults timed: [(step: String, subject: String, times: FaultTimes, movesOwner: Bool)],
        restarts: [RestartReport] = [], connections: [NodeConnections] = [], misses: [String] = []
    ) {
        let counts = Self.count(found)
        var misses = misses
        for fault in timed {
            misses += Self.miss(fault.times.detect, drill.expect.detectWithin, "\(fault.step): the routers' status")
            misses += Self.miss(fault.times.accept, drill.expect.acceptWithin, "\(fault.step): the first write")
            misses += Self.miss(
                fault.times.gap, drill.expect.gapWithin, "\(fault.step): the longest stretch without acknowledgement")
            if fault.movesOwner {
                misses += Self.miss(
                    fault.times.converge, drill.expect.convergeWithin, "\(fault.step): the last subscriber")
            }
        }
        if let sip, sip.errors > drill.expect.sipErrors {
            misses += ["\(sip.errors) SIP errors, expected at most \(drill.expect.sipErrors)"] + sip.examples
        }
        misses += Self.excess(connections.map(\.strays), drill.expect.strays, "connections were lost for no reason")
        misses += Self.excess(
            connections.map(\.resynced), drill.expect.resyncs, "subscribers needed a new snapshot")
        let acknowledged = operations.filter(\.isAcknowledged)
        let failed = operations.count - acknowledged.count
        if let most = drill.expect.failed, failed > most {
            let first = operations.filter { !$0.isAcknowledged }.min { $0.sent < $1.sent }
            misses.append(
                "\(failed) writes were not acknowledged, expected at most \(most)"
                    + (first?.reason.map { "; the first: \($0)" } ?? ""))
        }
        self.init(
            drill: drill.name,
            ok: misses.isEmpty && counts[.lost, default: 0] <= drill.expect.lost
                && counts[.stale, default: 0] <= drill.expect.stale
                && counts[.duplicated, default: 0] <= drill.expect.duplicated && counts[.order, default: 0] == 0,
            lost: counts[.lost, default: 0], stale: counts[.stale, default: 0],
            duplicated: counts[.duplicated, default: 0], order: counts[.order, default: 0],
            detect: Self.worst(timed.map(\.times.detect)), accept: Self.worst(timed.map(\.times.accept)),
            gap: Self.worst(timed.map(\.times.gap)),
            converge: Self.worst(timed.filter(\.movesOwner).map(\.times.converge)),
            acknowledged: acknowledged.count, failed: failed, delivered: delivered,
            latency: Self.latency(acknowledged),
            faults: timed.map { fault in
                Fault(
                    step: fault.step, node: fault.subject, detect: fault.times.detect?.inMilliseconds,
                    accept: fault.times.accept?.inMilliseconds, gap: fault.times.gap?.inMilliseconds,
                    converge: fault.times.converge?.inMilliseconds)
            },
            violations: Array((misses + found.map(\.description)).prefix(Self.maximumViolations)), sip: sip,
            restarts: restarts, connections: connections)
    }

    /// A contact that is missing in twenty places is one lost contact; positions are counted one by one.
    private static func count(_ violations: [Violation]) -> [Violation.Kind: Int] {
        var contacts: [Violation.Kind: Set<ContactNumber>] = [:]
        var counts: [Violation.Kind: Int] = [:]
        for violation in violations {
            if let contact = violation.contact, !contacts[violation.kind, default: []].insert(contact).inserted {
                continue
            }
            counts[violation.kind, default: 0] += 1
        }
        return counts
    }

    private static func miss(_ time: Duration?, _ limit: Duration?, _ what: String) -> [String] {
        guard let limit else { return [] }
        guard let time else { return ["\(what) never came, expected within \(limit.inMilliseconds) ms"] }
        return time <= limit
            ? [] : ["\(what) took \(time.inMilliseconds) ms, expected at most \(limit.inMilliseconds) ms"]
    }

    private static func excess(_ counts: [Int], _ limit: Int?, _ what: String) -> [String] {
        let count = counts.reduce(0, +)
        guard let limit, count > limit else { return [] }
        return ["\(count) \(what), expected at most \(limit)"]
    }

    /// The longest, or nil when one never ended or there was none.
    private static func worst(_ times: [Duration?]) -> Double? {
        let known = times.compactMap(\.self)
        return known.count == times.count ? known.max()?.inMilliseconds : nil
    }

    private static func latency(_ operations: [Operation]) -> Latency {
        var histogram = Histogram<UInt64>(highestTrackableValue: 3_600_000_000)
        for operation in operations {
            histogram.record(UInt64(clamping: (operation.ended - operation.sent).nanoseconds / 1_000))
        }
        guard histogram.totalCount > 0 else { return Latency(median: 0, p99: 0, max: 0) }
        func milliseconds(_ microseconds: UInt64) -> Double { Double(microseconds) / 1_000 }
        return Latency(
            median: milliseconds(histogram.valueAtPercentile(50)), p99: milliseconds(histogram.valueAtPercentile(99)),
            max: milliseconds(histogram.max))
    }
}

extension DrillReport {
    /// Written out so that times which never came are there, as null.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(drill, forKey: .drill)
        try container.encode(ok, forKey: .ok)
        try container.encode(lost, forKey: .lost)
        try container.encode(stale, forKey: .stale)
        try container.encode(duplicated, forKey: .duplicated)
        try container.encode(order, forKey: .order)
        try container.encode(detect, forKey: .detect)
        try container.encode(accept, forKey: .accept)
        try container.encode(gap, forKey: .gap)
        try container.encode(converge, forKey: .converge)
        try container.encode(acknowledged, forKey: .acknowledged)
        try container.encode(failed, forKey: .failed)
        try container.encode(delivered, forKey: .delivered)
        try container.encode(latency, forKey: .latency)
        try container.encode(faults, forKey: .faults)
        try container.encode(violations, forKey: .violations)
        try container.encode(sip, forKey: .sip)
        try container.encode(voided, forKey: .voided)
        try container.encode(packets, forKey: .packets)
        try container.encode(destinations, forKey: .destinations)
        try container.encode(restarts, forKey: .restarts)
        try container.encode(connections, forKey: .connections)
    }
}
