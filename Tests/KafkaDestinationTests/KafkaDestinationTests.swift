import CRdKafka
import ClusterRuntime
import Destinations
import Foundation
import Logging
import RegistrarEvents
import Testing

@testable import KafkaDestination

/// The destination against librdkafka's own mock cluster, which answers as brokers do and can be told to fail.
@Suite(.serialized) struct KafkaDestinationTests {
    private let demo: DomainName

    init() throws { demo = try #require(DomainName("demo.example")) }

    private func destination(
        _ cluster: MockCluster, keys: KafkaSpec.Keys = .account, creation: KafkaSpec.TopicCreation? = nil
    ) throws -> KafkaDestination {
        try KafkaDestination(
            KafkaSettings(
                spec: KafkaSpec(brokers: cluster.brokers, keys: keys, creation: creation), cluster: "test", node: "sr1",
                topic: { "\($0).registrarevents" }),
            log: Logger(label: "test"))
    }

    private func batch(_ events: [LogEntry.Change]) -> DestinationBatch {
        DestinationBatch(
            domain: demo,
            events: events.enumerated().map { index, change in
                DestinationEvent(
                    epoch: 7, entry: LogEntry(seq: UInt64(index + 1), timestamp: 1_700_000_000_000, change: change))
            })
    }

    private func contact(_ account: String, app: String = "a") throws -> PackedContact {
        let details = UserDetails(sessionID: "s", app: app, caps: [], peerAddress: "192.0.2.1", peerPort: 1)
        return try #require(PackedContact(Registration(account: account, contact: "c", user: details)))
    }

    @Test func recordsCarryKeyHeadersAndEnvelope() async throws {
        let cluster = try MockCluster(topic: "demo.example.registrarevents", partitions: 3)
        let kafka = try destination(cluster)
        let alice = try contact("alice")
        try await kafka.deliver(
            batch([
                .clear(.failover), .registered(alice, ttl: 60_000, replay: true), .unregistered(alice, .deleteContact),
            ]))
        await kafka.close()
        let records = try cluster.records(5)
        let clears = records.filter { $0.key == "demo.example" }
        #expect(Set(clears.map(\.partition)) == [0, 1, 2], "each partition alone is a whole stream")
        let own = records.filter { $0.key == "demo.example/user/alice" }
        #expect(own.map { $0.headers["seq"] } == ["2", "3"], "in one partition, in order")
        #expect(Set(own.map(\.partition)).count == 1)
        #expect(own.map { $0.headers["replay"] } == ["true", nil])
        #expect(records.allSatisfy { $0.headers["epoch"] == "7" && $0.headers["node"] == "sr1" })
        let value = try #require(own[0].value)
        #expect(value.hasPrefix(#"{"class":"registrarevents","type":"user_registered","data":{"user_id":"alice","#))
        #expect(
            value.hasSuffix(
                #""ttl":60},"eventts":1700000000000,"domain":"demo.example","epoch":7,"seq":2,"replay":true}"#))
    }

    @Test func compactedTopicsAreKeyedByContactAndTheEndLeavesATombstone() async throws {
        let cluster = try MockCluster(topic: "demo.example.registrarevents", partitions: 2)
        let kafka = try destination(cluster, keys: .contact)
        let alice = try contact("alice")
        try await kafka.deliver(batch([.registered(alice, ttl: 1, replay: false), .unregistered(alice, .deleteAOR)]))
        await kafka.close()
        let records = try cluster.records(3)
        #expect(records.map(\.key) == Array(repeating: "demo.example/user/alice/c", count: 3))
        #expect(records.map { $0.value == nil } == [false, false, true])
    }

    @Test func errorsThatPassAreRetriedBelowAndOthersCount() async throws {
        let cluster = try MockCluster(topic: "demo.example.registrarevents", partitions: 1)
        let kafka = try destination(cluster)
        cluster.fail(produce: [RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION])
        try await kafka.deliver(batch([.clear(.restart)]))
        await kafka.close()
        #expect(try cluster.records(1).count == 1)
    }

    @Test func aTopicThatMayNotBeWrittenHoldsUpItsDomainAlone() async throws {
        let cluster = try MockCluster(topic: "demo.example.registrarevents", partitions: 1)
        let kafka = try destination(cluster)
        try await kafka.deliver(batch([.clear(.restart)]))
        cluster.fail(produce: [RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED])
        let error = await #expect(throws: DestinationError.self) { try await kafka.deliver(batch([.clear(.moved)])) }
        #expect(error?.kind == .domainUnavailable)
        await kafka.close()
    }

    @Test func whatIsTooLargeIsRejectedAndTheRestIsThere() async throws {
        let cluster = try MockCluster(topic: "demo.example.registrarevents", partitions: 1)
        let kafka = try destination(cluster)
        try await kafka.deliver(batch([.clear(.restart)]))
        cluster.fail(produce: [RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE])
        let error = await #expect(throws: DestinationError.self) { try await kafka.deliver(batch([.clear(.moved)])) }
        #expect(error?.kind == .rejected(events: 1))
        await kafka.close()
    }

    @Test func scramByAnOldLibraryIsWarnedOf() throws {
        func warning(_ mechanism: KafkaSpec.Mechanism?, _ version: Int32) -> String? {
            let login = mechanism.map { KafkaSpec.Login(mechanism: $0, user: "u", passwordPath: "/nonexistent") }
            let spec = KafkaSpec(brokers: ["127.0.0.1:1"], login: login)
            return KafkaSettings(spec: spec, cluster: "test", node: "sr1", topic: { "\($0)" })
                .loginWarning(libraryVersion: version)
        }
        #expect(warning(.scramSHA512, 0x02_00_02_ff)?.contains("SCRAM-SHA-512") == true)
        #expect(warning(.scramSHA256, 0x02_06_00_ff) != nil)
        #expect(warning(.scramSHA256, 0x02_06_01_ff) == nil)
        #expect(warning(.plain, 0x02_00_02_ff) == nil)
        #expect(warning(nil, 0x02_00_02_ff) == nil)
    }

    @Test func closingFailsWhatIsUnderWay() async throws {
        let cluster = try MockCluster(topic: "demo.example.registrarevents", partitions: 1)
        let kafka = try destination(cluster)
        try await kafka.deliver(batch([.clear(.restart)]))
        cluster.setDown()
        let last = batch([.clear(.moved)])
        let late = Task { try await kafka.deliver(last) }
        await kafka.close()
        let result = await late.result
        #expect(throws: DestinationError.self) { try result.get() }
        await #expect(throws: DestinationError.self) { try await kafka.deliver(batch([.clear(.moved)])) }
    }
}
