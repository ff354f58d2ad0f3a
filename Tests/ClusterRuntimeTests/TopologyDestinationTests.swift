import ClusterRuntime
import RegistrarEvents
import Testing

/// The section with Kafka and plugins.
@Suite struct TopologyDestinationTests {
    private static let full = """
        destinations:
          kafka: { brokers: [127.0.0.1:9092, "[::1]:9093"], compression: zstd,
            fencing: transactions, keys: contact, spool: 2GiB,
            create_topics: { partitions: 6, replicas: 3, compact: true }, tls: { ca: ca.pem },
            sasl: { mechanism: SCRAM-SHA-512, user: rollcall, password: { file: var/kafka-password } } }
          plugins:
            - { name: audit, webhook: { url: https://audit.example/in, secret: s3cret, timeout: 2s } }
            - { name: screen, nanomsg: { address: tcp://127.0.0.1:9301 }, memory: 1MiB, spool: 64MiB,
                domains: [acme.example], events: [registrarevents.user_registered] }
        """

    private static func text(_ destinations: String) -> String { TopologyFixture.text + "\n" + destinations }

    @Test func aBranchWithoutDomainsIsRemarkedOn() throws {
        func remarks(_ domains: String) throws -> [String] {
            let plugin = "{ name: audit, domains: [\(domains)], nanomsg: { address: tcp://127.0.0.1:9301 } }"
            return try Topology.parse(Self.text("destinations: { plugins: [\(plugin)] }"), path: "t.yaml").remarks
        }
        #expect(try remarks("demo.example, example") == [])
        #expect(
            try remarks("demo.exmaple") == [
                "destination audit is for demo.exmaple, which no domain belongs to (did you mean demo.example?)"
            ])
        let plain = "destination audit is for unheard-of.test, which no domain belongs to"
        #expect(try remarks("unheard-of.test") == [plain])
    }

    @Test func everySettingIsRead() throws {
        let topology = try Topology.parse(Self.text(Self.full), path: "/t/t.yaml")
        let kafka = KafkaSpec(
            brokers: ["127.0.0.1:9092", "[::1]:9093"], compression: .zstd, fencing: .transactions,
            keys: .contact, creation: .init(partitions: 6, replicas: 3, isCompacted: true),
            tls: .init(caPath: "/t/ca.pem"),
            login: .init(mechanism: .scramSHA512, user: "rollcall", passwordPath: "/t/var/kafka-password"))
        let acme = try #require(DomainName("acme.example"))
        let audit = WebhookSpec(url: "https://audit.example/in", secret: .text("s3cret"), timeout: .seconds(2))
        #expect(
            topology.destinations == [
                DestinationSpec(name: "kafka", kind: .kafka(kafka), spoolBytes: 2 << 30),
                DestinationSpec(name: "audit", kind: .webhook(audit)),
                DestinationSpec(
                    name: "screen", kind: .nanomsg(NanomsgPluginSpec(address: "tcp://127.0.0.1:9301")),
                    filter: DestinationFilter(domains: [acme], types: [.userRegistered]), spoolBytes: 64 << 20,
                    memoryBytes: 1 << 20),
            ])
    }

    @Test func aBrokerIsAllThatIsNeeded() throws {
        let text = Self.text("destinations: { kafka: { brokers: [kafka.example:9092] } }")
        let topology = try Topology.parse(text, path: "t.yaml")
        #expect(
            topology.destinations
                == [DestinationSpec(name: "kafka", kind: .kafka(KafkaSpec(brokers: ["kafka.example:9092"])))])
    }

    @Test func aDomainMayNameItsTopic() throws {
        let text = TopologyFixture.replacing("replicas: 2 }", "replicas: 2, kafka: { topic: demo.events } }")
        #expect(try Topology.parse(text, path: "t.yaml").domains[0].kafkaTopic == "demo.events")
    }

    @Test(arguments: [
        SpoiltTopology("brokers:", "broker:", "unknown key `destinations.kafka.broker`; expected `brokers`"),
        SpoiltTopology("plugins:", "plugin:", "unknown key `destinations.plugin`; expected `plugins`"),
        SpoiltTopology("127.0.0.1:9092", "127.0.0.1", "found `127.0.0.1`; expected HOST:PORT, such as 127.0.0.1:9092"),
        SpoiltTopology("zstd", "zst", "did you mean zstd?"),
        SpoiltTopology("fencing: transactions", "fencing: epochs", "did you mean epoch?"),
        SpoiltTopology("name: screen", "name: audit", "two plugins named audit; expected a name of its own for each"),
        SpoiltTopology("name: screen", "name: kafka", "a plugin named kafka; expected a name of its own for each"),
        SpoiltTopology(
            "https://audit.example/in", "ftp://audit.example",
            "found `ftp://audit.example`; expected a URL such as https://plugin.example/events"),
        SpoiltTopology("secret: s3cret, ", "", "secret is missing; expected a text, or { file: PATH }"),
        SpoiltTopology("tcp://127.0.0.1:9301", "ipc:///x", "expected an address such as tcp://127.0.0.1:9301"),
        SpoiltTopology("user_registered]", "user_registred]", "did you mean registrarevents.user_registered?"),
        SpoiltTopology("[acme.example]", "[]", "no domain; expected at least one, or domains to be left out"),
        SpoiltTopology(
            "nanomsg: { address: tcp://127.0.0.1:9301 }, ", "", "no kind; expected either webhook or nanomsg"),
        SpoiltTopology("2GiB", "2TB", "expected a size from 1MiB to 1024GiB"),
    ])
    func whatIsWrongIsSaid(_ spoilt: SpoiltTopology) throws {
        let text = Self.full.replacing(spoilt.old, with: spoilt.new)
        #expect(text != Self.full)
        let problems = TopologyFixture.problems(in: Self.text(text))
        let lines = TopologyFixture.text.split(separator: "\n").count
        #expect(problems.contains { $0.contains(spoilt.told) }, "\(problems)")
        #expect(problems.allSatisfy { $0.firstMatch(of: #/^t\.yaml:(\d+):/#).map { Int($0.1) ?? 0 > lines } == true })
    }

    @Test func transactionsAreForFewDomains() {
        let many = (0..<65).map { "  - { name: d\($0).example, replicas: 2 }" }.joined(separator: "\n")
        let text = Self.text(Self.full).replacing("  - { name: demo.example, replicas: 2 }", with: many)
        #expect(
            TopologyFixture.problems(in: text).contains {
                $0.contains("fencing by transactions for 65 domains; expected at most 64 domains, or fencing: epoch")
            })
    }

    @Test func aPasswordDoesNotCrossTheNetworkInClear() {
        let text = Self.text(
            "destinations: { kafka: { brokers: [kafka.example:9092], sasl: { mechanism: PLAIN, user: u, "
                + "password: { file: p } } } }")
        #expect(
            TopologyFixture.problems(in: text).contains {
                $0.contains("a password in clear for kafka.example:9092; expected tls as well, or SCRAM")
            })
    }

    @Test(arguments: ["a/b", "..", "with space", String(repeating: "x", count: 250)])
    func aTopicHasALegalName(_ topic: String) {
        let text = TopologyFixture.replacing("replicas: 2 }", "replicas: 2, kafka: { topic: \"\(topic)\" } }")
        #expect(TopologyFixture.problems(in: text).contains { $0.contains("expected a topic of at most 249") })
    }
}
