import CRdKafka
import ClusterRuntime
import Destinations
import RegistrarEvents
import Testing

@testable import KafkaDestination

/// The destination against librdkafka's own mock cluster, which answers as brokers do and can be told to fail.
@Suite(.serialized) struct KafkaDestinationTests: KafkaSuite {
    let demo: DomainName

    init() throws { demo = try #require(DomainName("demo.example")) }

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

    /// For one record that is too much, or invalid, brokers refuse what is sent to a partition at once as a whole.
    static let refusals = [RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE.rawValue, RD_KAFKA_RESP_ERR_INVALID_RECORD.rawValue]

    @Test(arguments: [KafkaSpec.Fencing.epoch, .transactions], refusals)
    func whatIsTooMuchAtATimeIsSentInPieces(_ fencing: KafkaSpec.Fencing, _ code: Int32) async throws {
        let refusal = rd_kafka_resp_err_t(rawValue: code)
        let cluster = try MockCluster(topic: "demo.example.registrarevents", partitions: 1)
        let kafka = try destination(cluster, fencing: fencing)
        try await kafka.deliver(batch([.clear(.restart)]))
        // The whole, and the first half of it; then all of it in smaller pieces.
        cluster.fail(produce: [refusal, refusal])
        let contacts = try (1...8).map { LogEntry.Change.registered(try contact("u\($0)"), ttl: 1, replay: false) }
        try await kafka.deliver(batch(contacts))
        await kafka.close()
        #expect(try cluster.records(9).map { $0.headers["seq"] } == (["1"] + (1...8).map { "\($0)" }))
    }

    @Test(arguments: [KafkaSpec.Fencing.epoch, .transactions], refusals)
    func anEventThatIsNeverTakenIsRejectedAlone(_ fencing: KafkaSpec.Fencing, _ code: Int32) async throws {
        let refusal = rd_kafka_resp_err_t(rawValue: code)
        let cluster = try MockCluster(topic: "demo.example.registrarevents", partitions: 1)
        let kafka = try destination(cluster, fencing: fencing)
        try await kafka.deliver(batch([.clear(.restart)]))
        // The pair, then the first of it.
        cluster.fail(produce: [refusal, refusal])
        let pair = try ["alice", "bobby"].map { LogEntry.Change.registered(try contact($0), ttl: 1, replay: false) }
        let error = await #expect(throws: DestinationError.self) { try await kafka.deliver(batch(pair)) }
        #expect(error?.kind == .rejected(events: 1))
        await kafka.close()
        #expect(try cluster.records(2).map { $0.headers["seq"] } == ["1", "2"])
    }

    @Test func aContactThatCannotBeReadIsCountedWithTransactionsToo() async throws {
        let cluster = try MockCluster(topic: "demo.example.registrarevents", partitions: 1)
        let kafka = try destination(cluster, fencing: .transactions)
        let broken = try #require(PackedContact(bytes: [0xC1, 0xC1, 0xC1], accountLength: 1, keyLength: 2))
        let changes = [LogEntry.Change.registered(broken, ttl: 1, replay: false), .clear(.moved)]
        let error = await #expect(throws: DestinationError.self) { try await kafka.deliver(batch(changes)) }
        #expect(error?.kind == .rejected(events: 1))
        await kafka.close()
        #expect(try cluster.records(1).map { $0.headers["seq"] } == ["2"])
    }

    /// A producer that is given up for one batch goes on with the others, which have nothing to do with it.
    @Test func aPartitionWithoutALeaderHoldsUpItsDomainAlone() async throws {
        let cluster = try MockCluster(topic: "demo.example.registrarevents", partitions: 1)
        cluster.addTopic("acme.example.registrarevents")
        let acme = try #require(DomainName("acme.example"))
        let kafka = try destination(cluster, timeout: .seconds(4))
        try await kafka.deliver(batch([.clear(.restart)]))
        cluster.setLeader(of: "demo.example.registrarevents", partition: 0, isThere: false)
        let stuck = batch([.clear(.moved)])
        async let failure = Self.failure(of: stuck, at: kafka)
        let others = Task {
            var failures = 0
            while !Task.isCancelled {
                do throws(DestinationError) {
                    try await kafka.deliver(batch([.clear(.restart)], of: acme))
                } catch {
                    failures += 1
                }
            }
            return failures
        }
        #expect(await failure?.kind == .domainUnavailable)
        others.cancel()
        // At most the one that found the producer being replaced.
        #expect(await others.value <= 1)
        cluster.setLeader(of: "demo.example.registrarevents", partition: 0, isThere: true)
        #expect(await Self.failure(of: stuck, at: kafka) == nil)
        await kafka.close()
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
