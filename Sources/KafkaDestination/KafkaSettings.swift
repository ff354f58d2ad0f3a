public import ClusterRuntime
import CRdKafka
import Foundation
public import RegistrarEvents

/// What a producer is made with.
public struct KafkaSettings: Sendable {
    public var spec: KafkaSpec
    public var cluster: String
    /// The node that writes, for the records' header.
    public var node: String
    /// The topic of a domain.
    public var topic: @Sendable (DomainName) -> String

    public init(spec: KafkaSpec, cluster: String, node: String, topic: @escaping @Sendable (DomainName) -> String) {
        self.spec = spec
        self.cluster = cluster
        self.node = node
        self.topic = topic
    }

    /// How long a batch may take from the queue to the brokers' acknowledgement. Beyond it the producer is given up
    /// with everything under way, and the batch comes again.
    ///
    /// librdkafka's own limit would give up single records, and those after them could be written before they come
    /// again, which a consumer must take for repetitions. So what is written of a batch is always its beginning.
    var deliveryTimeout = Duration.seconds(10)

    /// - Parameter transactionalID: for a producer that is fenced by the next one of the same id.
    /// - Throws: when the password cannot be read.
    func options(transactionalID: String?) throws(KafkaFailure) -> [(name: String, value: String)] {
        var options: [(name: String, value: String)] = [
            ("bootstrap.servers", spec.brokers.joined(separator: ",")),
            ("client.id", "rollcall-\(cluster)-\(node)"),
            ("enable.idempotence", "true"), ("acks", "all"),
            ("compression.type", spec.compression.rawValue),
            // Batches come ready made: what is waited for is only the rest of one.
            ("linger.ms", "2"), ("batch.num.messages", "10000"),
            ("queue.buffering.max.messages", "1000000"), ("queue.buffering.max.kbytes", "262144"),
            ("reconnect.backoff.ms", "50"), ("reconnect.backoff.max.ms", "1000"),
            ("topic.metadata.refresh.interval.ms", "30000"), ("log.connection.close", "false"),
        ]
        if let transactionalID {
            // What a transaction has not written whole is written not at all.
            options += [
                ("transactional.id", transactionalID), ("transaction.timeout.ms", "10000"),
                ("message.timeout.ms", "10000"),
            ]
        } else {
            options.append(("message.timeout.ms", "0"))
        }
        let isSecure = spec.tls != nil
        if let tls = spec.tls {
            if let path = tls.caPath { options.append(("ssl.ca.location", path)) }
            if let path = tls.certificatePath { options.append(("ssl.certificate.location", path)) }
            if let path = tls.keyPath { options.append(("ssl.key.location", path)) }
        }
        if let login = spec.login {
            options += [
                ("security.protocol", isSecure ? "SASL_SSL" : "SASL_PLAINTEXT"),
                ("sasl.mechanism", login.mechanism.rawValue), ("sasl.username", login.user),
                ("sasl.password", try password(login)),
            ]
        } else {
            options.append(("security.protocol", isSecure ? "SSL" : "PLAINTEXT"))
        }
        return options
    }

    /// What is to be said of a login with this librdkafka (`0xMMmmrrpp`). Before 2.6.1 it repeats its nonce in the last
    /// message of SCRAM (its change 4895); brokers up to Kafka 3.9 let that pass, those of 4.x do as RFC 5802 demands.
    func loginWarning(libraryVersion: Int32) -> String? {
        guard let mechanism = spec.login?.mechanism, mechanism != .plain, libraryVersion < 0x02_06_01_00 else {
            return nil
        }
        return
            "Kafka 4 refuses \(mechanism.rawValue) of this librdkafka; expected version 2.6.1 or PLAIN over TLS"
    }

    private func password(_ login: KafkaSpec.Login) throws(KafkaFailure) -> String {
        // The rules for such files are the same as for etcd's.
        do {
            return try EtcdSpec.Login(user: login.user, passwordPath: login.passwordPath).password()
        } catch {
            throw KafkaFailure("\(error)")
        }
    }
}

/// Why no producer could be made.
public struct KafkaFailure: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
}
