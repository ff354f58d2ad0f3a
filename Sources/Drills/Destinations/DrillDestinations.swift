import ClusterClients
import ClusterRuntime
import Foundation
import NIOCore
import RegistrarEvents
import Synchronization

/// What a drill runs for the destinations of its cluster: a broker for Kafka, receivers for webhooks, and for each a
/// reader that keeps the set of the load's domain.
///
/// Destinations that are told of some events only are there, and not judged. Nobody listens at nanomsg endpoints.
final class DrillDestinations: Sendable {
    /// Of Kafka; nil when the topology has none.
    private let broker: DrillBroker?
    private let topology: Topology
    private let directory: String
    private let views: Mutex<[DestinationView]>
    private let readsTopic: Bool
    private let webhooks: Mutex<[any Channel]> = Mutex([])
    private let domain: Mutex<(name: DomainName, names: ContactNames)?> = Mutex(nil)

    /// What of the destinations of a topology a drill cannot run.
    static func problems(_ topology: Topology) -> [FileProblem] {
        var wrong: [String] = []
        for spec in topology.destinations {
            switch spec.kind {
            case .kafka(let kafka): wrong += DrillBroker.problems(kafka)
            case .webhook(let webhook):
                if WebhookReader(webhook, take: { _ in }) == nil { wrong.append("\(spec.name) is at \(webhook.url)") }
                if case .file = webhook.secret { wrong.append("the secret of \(spec.name) is in a file") }
            case .nanomsg: break
            }
        }
        if !topology.destinations.isEmpty, PrivateNetwork.isNeeded(by: topology) {
            wrong.append("there are destinations, and servers with addresses of their own")
        }
        return wrong.map {
            FileProblem(
                file: topology.file, line: 1, wrong: $0,
                expected:
                    "one broker at 127.0.0.1, webhooks at http:// and loopback with their secrets in the topology, "
                    + "or --use-running")
        }
    }

    /// - Returns: nil when the topology has no destinations.
    init?(_ topology: Topology, directory: String) {
        guard !topology.destinations.isEmpty else { return nil }
        self.topology = topology
        self.directory = directory
        let judged = topology.destinations.filter { $0.filter == .everything }
        views = Mutex(
            judged.filter {
                if case .nanomsg = $0.kind { false } else { true }
            }.map { DestinationView(name: $0.name) })
        let kafka = topology.destinations.lazy.compactMap {
            if case .kafka(let spec) = $0.kind { spec } else { nil }
        }.first
        broker = kafka.flatMap { DrillBroker($0, directory: directory) }
        readsTopic = judged.contains { if case .kafka = $0.kind { true } else { false } }
    }

    /// Has everybody listen, before the cluster starts.
    func start() async throws {
        try await broker?.start()
        for spec in topology.destinations {
            let name = spec.name
            guard case .webhook(let webhook) = spec.kind,
                let reader = WebhookReader(webhook, take: { [weak self] in self?.take($0, name, part: 0) })
            else { continue }
            let channel = try await reader.start()
            webhooks.withLock { $0.append(channel) }
        }
    }

    func stop() async {
        let channels = webhooks.withLock { channels in
            defer { channels = [] }
            return channels
        }
        // One that is closed already is none.
        for channel in channels { try? await channel.close() }
        await broker?.stop()
    }

    /// - Throws: `DrillFailure` when there is no broker, or it does not start.
    func set(_ power: DrillFile.Power) async throws {
        guard let broker else { throw DrillFailure.unreachable("the drill runs no Kafka broker") }
        switch power {
        case .stop: await broker.stop()
        case .start: try await broker.start()
        }
    }

    /// Says whose events count from now on; the sets begin empty.
    func judge(_ name: DomainName, _ names: ContactNames) {
        domain.withLock { $0 = (name, names) }
        views.withLock { views in views = views.map { DestinationView(name: $0.name) } }
    }

    /// Reads the topic of the domain, until cancelled.
    func run() async {
        guard readsTopic, let broker, let (name, _) = domain.withLock({ $0 }) else { return }
        let topic = topology.domain(named: name)?.kafkaTopic ?? "\(name).registrarevents"
        await TopicReader(broker: broker.address, topic: topic, directory: directory) { [weak self] partition, value in
            self?.take(value, "kafka", part: partition)
        }.run()
    }

    /// How each stands at this moment.
    var state: [DestinationView] { views.withLock(\.self) }

    private func take(_ event: UnsafeRawBufferPointer, _ name: String, part: Int) {
        guard let (domain, names) = domain.withLock({ $0 }),
            // What is no event shows as a gap.
            let (told, notification) = try? RegistrarNotification.read(event: event), told == domain.rawValue,
            let event = SubscriberView.Event(notification, names)
        else { return }
        views.withLock { views in
            guard let index = views.firstIndex(where: { $0.name == name }) else { return }
            views[index].take(event, part: part)
        }
    }
}
