import ClusterRuntime
import Destinations
import Logging
import RegistrarEvents
import Testing

@testable import KafkaDestination

/// What suites against the mock cluster have in common.
protocol KafkaSuite {
    var demo: DomainName { get }
}

extension KafkaSuite {
    func destination(
        _ cluster: MockCluster, keys: KafkaSpec.Keys = .account, creation: KafkaSpec.TopicCreation? = nil,
        fencing: KafkaSpec.Fencing = .epoch, timeout: Duration = .seconds(10)
    ) throws -> KafkaDestination {
        try destination(
            KafkaSpec(brokers: cluster.brokers, fencing: fencing, keys: keys, creation: creation), timeout: timeout)
    }

    func destination(_ spec: KafkaSpec, timeout: Duration = .seconds(10)) throws -> KafkaDestination {
        try KafkaDestination(settings(spec, timeout: timeout), log: Logger(label: "test"))
    }

    func settings(_ spec: KafkaSpec, timeout: Duration) -> KafkaSettings {
        var settings = KafkaSettings(
            spec: spec, cluster: "test", node: "sr1", topic: { "\($0).registrarevents" })
        settings.deliveryTimeout = timeout
        return settings
    }

    func batch(_ events: [LogEntry.Change], of domain: DomainName? = nil, epoch: UInt64 = 7) -> DestinationBatch {
        DestinationBatch(
            domain: domain ?? demo,
            events: events.enumerated().map { index, change in
                DestinationEvent(
                    epoch: epoch, entry: LogEntry(seq: UInt64(index + 1), timestamp: 1_700_000_000_000, change: change))
            })
    }

    func contact(_ account: String, app: String = "a") throws -> PackedContact {
        let details = UserDetails(sessionID: "s", app: app, caps: [], peerAddress: "192.0.2.1", peerPort: 1)
        return try #require(PackedContact(Registration(account: account, contact: "c", user: details)))
    }

    static func failure(of batch: DestinationBatch, at kafka: KafkaDestination) async -> DestinationError? {
        do throws(DestinationError) {
            try await kafka.deliver(batch)
            return nil
        } catch {
            return error
        }
    }
}
