public import ClusterRuntime
public import Destinations
import Foundation
import KafkaDestination
import PluginDestinations
import RegistrarEvents
import SRActor

/// A destination that runs in the node's process, beside those of the topology.
public struct InProcessDestination: Sendable {
    /// Unique among all destinations.
    public let name: String
    public let filter: DestinationFilter
    public let destination: any Destination

    public init(name: String, filter: DestinationFilter = .everything, destination: any Destination) {
        self.name = name
        self.filter = filter
        self.destination = destination
    }
}

extension NodeEnvironment {
    /// The lanes of an `sr` node: the topology's destinations, then those in this process.
    /// - Throws: `NodeFailure` when one cannot be set up.
    func makeDestinations(_ inProcess: [InProcessDestination], relay: NoticeRelay) throws -> DestinationHub {
        let made = try topology.destinations.map { spec in
            lane(
                spec.name, spec.kind.name, spec.filter, spec.spoolBytes, spec.memoryBytes, try destination(of: spec),
                relay)
        }
        var names = Set(topology.destinations.map(\.name))
        let own = try inProcess.map { own in
            guard names.insert(own.name).inserted else {
                throw NodeFailure("there is a destination \(own.name) already, of \(topology.file) or of this process")
            }
            return lane(
                own.name, "swift", own.filter, DestinationSpec.defaultSpoolBytes, DestinationSpec.defaultMemoryBytes,
                own.destination, relay)
        }
        Lane.removeSpools(in: spools, but: names, log: log)
        let hub = DestinationHub(lanes: made + own)
        register(hub)
        return hub
    }

    private var spools: String { "\(topology.journalPath(of: spec.name))/spool" }

    private func lane(
        _ name: String, _ kind: String, _ filter: DestinationFilter, _ spoolBytes: Int, _ memoryBytes: Int,
        _ destination: any Destination, _ relay: NoticeRelay
    ) -> Lane {
        Lane(
            settings: LaneSettings(
                name: name, kind: kind, filter: filter, concurrency: destination.concurrency,
                batch: destination.batchLimits, gathering: destination.gathering, domainQueueBytes: memoryBytes,
                spoolBytes: spoolBytes),
            destination: destination, spoolDirectory: "\(spools)/\(name)",
            seed: life.incarnation, tell: { relay.tell($0, $1) }, log: log)
    }

    private func destination(of spec: DestinationSpec) throws -> any Destination {
        switch spec.kind {
        case .kafka(let kafka):
            return try KafkaDestination(
                KafkaSettings(
                    spec: kafka, cluster: topology.cluster, node: life.name.rawValue,
                    topic: { [keeper] in keeper.lastSpec(of: $0)?.kafkaTopic ?? "\($0).registrarevents" }),
                log: log)
        case .webhook(let webhook):
            guard let signature = WebhookSignature(secret: try secret(of: webhook, spec.name)) else {
                throw NodeFailure(
                    "destination \(spec.name): the secret is too short, or not base64 behind whsec_; expected at least "
                        + "\(WebhookSignature.minimumKey) bytes")
            }
            return WebhookDestination(
                WebhookDestination.Settings(
                    plugin: spec.name, node: life.name.rawValue, url: webhook.url, signature: signature,
                    timeout: webhook.timeout))
        case .nanomsg(let plugin):
            guard let place = plugin.place else {
                throw NodeFailure("destination \(spec.name): \(plugin.address) is no address; expected tcp://HOST:PORT")
            }
            return NanomsgDestination(
                NanomsgDestination.Settings(
                    plugin: spec.name, node: life.name.rawValue, host: place.host, port: place.port,
                    receiptHost: self.spec.address))
        }
    }

    private func secret(of webhook: WebhookSpec, _ name: String) throws -> String {
        switch webhook.secret {
        case .text(let text): return text
        case .file(let path):
            do {
                return try String(contentsOfFile: path, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
            } catch {
                throw NodeFailure("destination \(name): the secret's file cannot be read: \(path)")
            }
        }
    }

    private func register(_ hub: DestinationHub) {
        let counters: [(String, String, any KeyPath<DestinationStatus, UInt64> & Sendable)] = [
            ("delivered", "Events that are safe at a destination.", \.delivered),
            ("failures", "Batches that a destination did not take.", \.failures),
            ("dropped", "Events that were not kept; clear and replay stand for them.", \.dropped),
            ("abandoned", "Events left to a domain's next owner.", \.abandoned),
            ("uncovered", "Events lost with the last owner; the next epoch's clear stands for them.", \.uncovered),
            ("rejected", "Events that a destination never takes.", \.rejected),
            ("resyncs", "Clear and replay made for a destination alone.", \.resyncs),
        ]
        for name in hub.summaries.map(\.name) {
            for (counter, help, path) in counters {
                metrics.counter(
                    "rollcall_destination_\(counter)_total", help: help, labels: [("destination", name)]
                ) { hub.summary(of: name)?[keyPath: path] ?? 0 }
            }
        }
        metrics.gauges("rollcall_destination_up", help: "1 while a destination takes events.") {
            hub.summaries.map { .init(labels: [("destination", $0.name)], value: $0.state == .up ? 1 : 0) }
        }
        metrics.gauges(
            "rollcall_destination_refused_domains",
            help: "Domains that a destination does not take though it takes others."
        ) {
            hub.summaries.map { .init(labels: [("destination", $0.name)], value: Double($0.refusedDomains ?? 0)) }
        }
        metrics.gauges("rollcall_destination_waiting_events", help: "Events that wait, in memory and on disk.") {
            hub.summaries.flatMap { status in
                [("memory", status.queuedEvents), ("disk", status.spooledEvents)].map { place, events in
                    .init(labels: [("destination", status.name), ("place", place)], value: Double(events))
                }
            }
        }
        metrics.gauges("rollcall_destination_spool_bytes", help: "Bytes of events that wait on disk, about.") {
            hub.summaries.map { .init(labels: [("destination", $0.name)], value: Double($0.spooledBytes)) }
        }
        metrics.gauges("rollcall_destination_lag_seconds", help: "The age of the oldest event that waits in memory.") {
            hub.lags.map { .init(labels: [("destination", $0.name)], value: Double($0.milliseconds) / 1_000) }
        }
    }
}
