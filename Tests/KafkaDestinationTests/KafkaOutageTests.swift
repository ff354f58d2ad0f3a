import CRdKafka
import ClusterRuntime
import Destinations
import Logging
import RegistrarEvents
import Synchronization
import Testing

@testable import KafkaDestination

/// What the destination does to its node, and to others, when brokers do not answer or owners change.
@Suite(.serialized) struct KafkaOutageTests: KafkaSuite {
    let demo: DomainName

    init() throws { demo = try #require(DomainName("demo.example")) }

    /// Owners run on the threads that Swift's tasks have: what waits for a broker there holds up the whole node.
    @Test func brokersThatDoNotAnswerHoldUpNoTask() async throws {
        // Nothing listens there: each look for a topic takes five seconds.
        let kafka = try destination(KafkaSpec(brokers: ["127.0.0.1:1"]))
        let ended = Tally()
        let deliveries = try (0..<kafka.concurrency).map { number in
            let domain = try #require(DomainName("d\(number).example"))
            let batch = batch([.clear(.restart)], of: domain)
            return Task {
                let failure = await Self.failure(of: batch, at: kafka)
                ended.count.add(1, ordering: .relaxed)
                return failure?.kind
            }
        }
        for _ in 0..<100 { await Task.detached {}.value }
        #expect(ended.count.load(ordering: .relaxed) == 0, "tasks had to wait until threads were free of brokers")
        for delivery in deliveries { #expect(await delivery.value == .unavailable) }
        await kafka.close()
    }

    /// As when an activated topology says so: nothing of the domain is in the new topic.
    @Test func aTopicThatIsChangedIsToldOfEverythingAnew() async throws {
        let cluster = try MockCluster(topic: "later", partitions: 1)
        cluster.addTopic("first")
        let topic = Name("first")
        let spec = KafkaSpec(brokers: cluster.brokers)
        let settings = KafkaSettings(spec: spec, cluster: "test", node: "sr1") { _ in topic.value.withLock(\.self) }
        let kafka = try KafkaDestination(settings, log: Logger(label: "test"))
        #expect(await Self.failure(of: batch([.clear(.restart)]), at: kafka) == nil)
        topic.value.withLock { $0 = "later" }
        #expect(await Self.failure(of: batch([.clear(.moved)]), at: kafka)?.kind == .moved)
        #expect(await Self.failure(of: batch([.clear(.resync)]), at: kafka) == nil)
        topic.value.withLock { $0 = "first" }
        await kafka.forget(demo)
        #expect(await Self.failure(of: batch([.clear(.restart)]), at: kafka) == nil, "another epoch begins with clear")
        await kafka.close()
        #expect(try cluster.records(1).first?.value?.contains("resync") == true)
    }

    /// An account that others of them have now would not end where it began.
    @Test func partitionsThatAreAddedAreToldOfEverythingAnew() async throws {
        let (former, grown) = (
            try MockCluster(topic: "demo.example.registrarevents", partitions: 1),
            try MockCluster(topic: "demo.example.registrarevents", partitions: 3)
        )
        let log = Logger(label: "test")
        let made = Tally()
        // The mock's topics do not grow, so each producer has brokers of its own.
        let all = [former, grown].map { settings(KafkaSpec(brokers: $0.brokers), timeout: .seconds(2)) }
        let kafka = try KafkaDestination(all[0], log: log) { () throws(KafkaFailure) in
            let count = made.count.add(1, ordering: .relaxed).newValue
            return try KafkaProducer(all[min(count, 2) - 1], log: log)
        }
        #expect(await Self.failure(of: batch([.clear(.restart)]), at: kafka) == nil)
        former.setLeader(of: "demo.example.registrarevents", partition: 0, isThere: false)
        #expect(await Self.failure(of: batch([.clear(.moved)]), at: kafka)?.kind == .unavailable)
        let moved = await Self.failure(of: batch([.clear(.moved)]), at: kafka)
        #expect(
            moved == DestinationError(.moved, "demo.example.registrarevents has 3 partitions now, and had 1"))
        #expect(await Self.failure(of: batch([.clear(.resync)]), at: kafka) == nil)
        await kafka.close()
        #expect(try grown.records(3).map(\.partition) == [0, 1, 2])
    }

    @Test func aPlaceIsKeptUntilItsDomainIsForgotten() throws {
        let places = KafkaPlaces()
        let acme = try #require(DomainName("acme.example"))
        for domain in [demo, acme] { try places.note(domain, topic: "all", partitions: 3) }
        #expect(throws: DestinationError.self) { try places.note(demo, topic: "all", partitions: 6) }
        try places.note(demo, topic: "all", partitions: 6)
        try places.note(acme, topic: "all", partitions: 3)
        places.forget(demo)
        try places.note(demo, topic: "all", partitions: 12)
    }

    /// As when the file of a password is gone: a batch has to end by itself all the same.
    @Test func aBatchEndsThoughNoNewProducerCanBeMade() async throws {
        let cluster = try MockCluster(topic: "demo.example.registrarevents", partitions: 1)
        let settings = settings(KafkaSpec(brokers: cluster.brokers), timeout: .seconds(2))
        let made = Tally()
        let log = Logger(label: "test")
        let kafka = try KafkaDestination(settings, log: log) { () throws(KafkaFailure) in
            let count = made.count.add(1, ordering: .relaxed).newValue
            guard count == 1 || count > 3 else { throw KafkaFailure("no password") }
            return try KafkaProducer(settings, log: log)
        }
        let batch = batch([.clear(.restart)])
        #expect(await Self.failure(of: batch, at: kafka) == nil)
        cluster.setLeader(of: "demo.example.registrarevents", partition: 0, isThere: false)
        #expect(await Self.failure(of: batch, at: kafka)?.description.contains("not acknowledged") == true)
        #expect(await Self.failure(of: batch, at: kafka) == DestinationError(.unavailable, "no password"))
        cluster.setLeader(of: "demo.example.registrarevents", partition: 0, isThere: true)
        #expect(await Self.failure(of: batch, at: kafka) == nil)
        await kafka.close()
    }

    /// Whatever still comes then makes no producer, whose transaction would be left open at the end.
    @Test func nothingIsWrittenInATransactionOnceTheNodeStops() async throws {
        let cluster = try MockCluster(topic: "demo.example.registrarevents", partitions: 1)
        let kafka = try destination(cluster, fencing: .transactions)
        #expect(await Self.failure(of: batch([.clear(.restart)]), at: kafka) == nil)
        await kafka.close()
        let late = await Self.failure(of: batch([.clear(.moved)], epoch: 8), at: kafka)
        #expect(late == DestinationError(.unavailable, "the node stops"))
        #expect(try cluster.records(1).map { $0.headers["epoch"] } == ["7"])
    }

    @Test func aProducerEndsOnceItsLastUserHasLeftHoweverLate() async throws {
        let producer = try KafkaProducer(
            settings(KafkaSpec(brokers: ["127.0.0.1:1"]), timeout: .seconds(10)), log: Logger(label: "test"))
        #expect(producer.enter())
        producer.close(patience: .milliseconds(20))
        #expect(!producer.isEnded && !producer.enter(), "somebody uses it")
        producer.leave()
        for _ in 0..<3_000 where !producer.isEnded { try await Task.sleep(for: .milliseconds(10)) }
        #expect(producer.isEnded)
    }

    /// An owner whose producer is given up may have a successor, whom a new one would shut out.
    @Test func aProducerIsMadeAnewOnlyAtTheOwnersWord() async throws {
        let cluster = try MockCluster(topic: "demo.example.registrarevents", partitions: 1)
        let (former, later) = (
            try destination(cluster, fencing: .transactions), try destination(cluster, fencing: .transactions)
        )
        #expect(await Self.failure(of: batch([.clear(.restart)]), at: former) == nil)
        // The producer does not survive that.
        cluster.fail(transactions: [RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED])
        let waiting = batch([.clear(.moved)])
        #expect(await Self.failure(of: waiting, at: former)?.kind == .unavailable)
        let next = batch([.clear(.failover)], epoch: 8)
        #expect(await Self.failure(of: next, at: later) == nil)
        #expect(await Self.failure(of: waiting, at: former)?.kind == .fenced)
        #expect(await Self.failure(of: next, at: later) == nil, "the later owner's producer is as it was")
        // The owner was asked, and has answered.
        #expect(await Self.failure(of: batch([.clear(.resync)]), at: former) == nil)
        await former.close()
        await later.close()
        let epochs = try cluster.records(4).map { $0.headers["epoch"] }
        #expect(epochs == ["7", "8", "8", "7"])
    }
}

private final class Tally: Sendable {
    let count = Atomic(0)
}

private final class Name: Sendable {
    let value: Mutex<String>

    init(_ name: String) { value = Mutex(name) }
}
