import Foundation
import RegistrarEvents
import Yams

/// `destinations: { kafka: {…}, plugins: [ {…}, … ] }`.
extension TopologyReader {
    /// Each has a cursor in every message of replication, and each event is kept until all have it.
    private static let maximumPlugins = 15
    private static let maximumBrokers = 64
    private static let filterKeys = ["domains", "events", "memory", "spool"]

    func destinations(_ value: YAMLValue?, domains: [DomainName]) -> [DestinationSpec] {
        guard let fields = value?.fields(["kafka", "plugins"]) else { return [] }
        let kafka = fields["kafka"].flatMap { self.kafka($0) }
        if let kafka, case .kafka(let spec) = kafka.kind, spec.fencing == .transactions {
            let count = domains.count(where: kafka.filter.includes)
            if count > KafkaSpec.maximumTransactionalDomains {
                fields["kafka"]?.reject(
                    "fencing by transactions for \(count) domains",
                    expected: "at most \(KafkaSpec.maximumTransactionalDomains) domains, or fencing: epoch")
            }
        }
        let plugins = (fields["plugins"]?.items(atMost: Self.maximumPlugins) ?? []).compactMap { plugin($0) }
        var names: Set<String> = ["kafka"]
        for plugin in plugins where !names.insert(plugin.name).inserted {
            fields["plugins"]?.reject(
                plugin.name == "kafka" ? "a plugin named kafka" : "two plugins named \(plugin.name)",
                expected: "a name of its own for each")
        }
        return (kafka.map { [$0] } ?? []) + plugins
    }

    private func plugin(_ value: YAMLValue) -> DestinationSpec? {
        guard let fields = value.fields(["name", "webhook", "nanomsg"] + Self.filterKeys) else { return nil }
        let name = self.name(fields.required("name", "the plugin's name"))
        let kinds = [fields["webhook"].map { self.webhook($0) }, fields["nanomsg"].map { self.nanomsg($0) }].compactMap(
            \.self)
        if kinds.count != 1 {
            value.reject(kinds.isEmpty ? "no kind" : "two kinds", expected: "either webhook or nanomsg")
        }
        let filter = self.filter(fields)
        let spool = fields["spool"]?.bytes(in: DestinationSpec.spoolRange)
        let memory = fields["memory"]?.bytes(in: DestinationSpec.memoryRange)
        guard let name, let kind = kinds.first ?? nil else { return nil }
        return DestinationSpec(
            name: name, kind: kind, filter: filter, spoolBytes: spool ?? DestinationSpec.defaultSpoolBytes,
            memoryBytes: memory ?? DestinationSpec.defaultMemoryBytes)
    }

    private func filter(_ fields: YAMLFields) -> DestinationFilter {
        let domains = fields["domains"].map { value in
            let items = value.items(atMost: Self.maximumDomains)
            if items.isEmpty, case .sequence = value.node {
                value.reject("no domain", expected: "at least one, or domains to be left out")
            }
            return items.compactMap { domainName($0) }
        }
        return DestinationFilter(domains: domains, types: fields["events"].map { types($0) })
    }

    private func types(_ value: YAMLValue) -> Set<EventType> {
        let options = EventType.allCases.map { ("registrarevents.\($0.rawValue)", [$0]) }
        let items = value.items(atMost: 64)
        if items.isEmpty, case .sequence = value.node {
            value.reject("no event", expected: "at least one, or events to be left out")
        }
        let all: [(String, [EventType])] = options + [("registrarevents.*", EventType.allCases)]
        return Set(items.compactMap { $0.choice(all + [("registrarevents.clear", [])]) }.flatMap(\.self))
    }

    // MARK: Kafka

    private func kafka(_ value: YAMLValue) -> DestinationSpec? {
        let known = ["brokers", "compression", "fencing", "keys", "create_topics", "tls", "sasl"]
        guard let fields = value.fields(known + Self.filterKeys) else { return nil }
        let brokers = self.brokers(fields.required("brokers", "a list such as [127.0.0.1:9092]"))
        let compression = fields["compression"]?.choice(KafkaSpec.Compression.allCases.map { ($0.rawValue, $0) })
        let fencing = fields["fencing"]?.choice(KafkaSpec.Fencing.allCases.map { ($0.rawValue, $0) })
        let keys = fields["keys"]?.choice(KafkaSpec.Keys.allCases.map { ($0.rawValue, $0) })
        let creation = fields["create_topics"].flatMap { self.creation($0) }
        let tls = fields["tls"].flatMap { kafkaTLS($0) }
        let login = fields["sasl"].flatMap { sasl($0, isSecure: fields["tls"] != nil, brokers) }
        let filter = self.filter(fields)
        let spool = fields["spool"]?.bytes(in: DestinationSpec.spoolRange)
        let memory = fields["memory"]?.bytes(in: DestinationSpec.memoryRange)
        guard !brokers.isEmpty else { return nil }
        let spec = KafkaSpec(
            brokers: brokers, compression: compression ?? .lz4, fencing: fencing ?? .epoch,
            keys: keys ?? .account, creation: creation, tls: tls, login: login)
        return DestinationSpec(
            name: "kafka", kind: .kafka(spec), filter: filter, spoolBytes: spool ?? DestinationSpec.defaultSpoolBytes,
            memoryBytes: memory ?? DestinationSpec.defaultMemoryBytes)
    }

    private func brokers(_ value: YAMLValue?) -> [String] {
        guard let value else { return [] }
        let before = problems.count
        var brokers: [String] = []
        for item in value.items(atMost: Self.maximumBrokers) {
            let expected = "HOST:PORT, such as 127.0.0.1:9092"
            guard let text = item.text(expected) else { continue }
            guard Self.isHostAndPort(text) else {
                item.reject("found \(quoted(text))", expected: expected)
                continue
            }
            if brokers.contains(text) { item.reject("\(text) twice", expected: "each broker once") }
            brokers.append(text)
        }
        if brokers.isEmpty, problems.count == before { value.reject("no broker", expected: "at least one") }
        return brokers
    }

    private static func isHostAndPort(_ text: String) -> Bool {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (1...65_535).contains(port)
        else { return false }
        let host = text[..<colon]
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        let bare = String(isBracketed ? host.dropFirst().dropLast() : host)
        return NetworkAddress.isValid(bare) && isBracketed == bare.contains(":")
    }

    private func creation(_ value: YAMLValue) -> KafkaSpec.TopicCreation? {
        guard let fields = value.fields(["partitions", "replicas", "compact"]) else { return nil }
        return KafkaSpec.TopicCreation(
            partitions: fields["partitions"]?.integer(in: 1...10_000) ?? 1,
            replicas: fields["replicas"]?.integer(in: 1...100) ?? 1,
            isCompacted: fields["compact"]?.flag() ?? false)
    }

    private func kafkaTLS(_ value: YAMLValue) -> EtcdSpec.TLS? {
        guard let fields = value.fields(["ca", "cert", "key"]) else { return nil }
        if (fields["cert"] == nil) != (fields["key"] == nil) {
            value.reject("cert or key alone", expected: "both, or none where Kafka asks for no client certificate")
        }
        return EtcdSpec.TLS(
            caPath: path(fields["ca"]), certificatePath: path(fields["cert"]), keyPath: path(fields["key"]))
    }

    private func sasl(_ value: YAMLValue, isSecure: Bool, _ brokers: [String]) -> KafkaSpec.Login? {
        guard let fields = value.fields(["mechanism", "user", "password"]) else { return nil }
        let mechanism = fields.required("mechanism", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")?
            .choice(KafkaSpec.Mechanism.allCases.map { ($0.rawValue, $0) })
        let user = fields.required("user", "the user's name")?.text("the user's name")
        let file = fields.required("password", "{ file: PATH }")?.fields(["file"])
        let password = path(file?.required("file", "the path of the password's file"))
        if mechanism == .plain, !isSecure,
            let open = brokers.first(where: { !NetworkAddress.isLoopback(Self.host(of: $0)) })
        {
            value.reject("a password in clear for \(open)", expected: "tls as well, or SCRAM")
        }
        guard let mechanism, let user, let password else { return nil }
        return KafkaSpec.Login(mechanism: mechanism, user: user, passwordPath: password)
    }

    private static func host(of broker: String) -> String {
        String(broker[..<(broker.lastIndex(of: ":") ?? broker.endIndex)]).trimmingCharacters(in: ["[", "]"])
    }

    /// The topic that a domain's `kafka` names.
    func kafkaTopic(_ value: YAMLValue?) -> String? {
        guard let value, let fields = value.fields(["topic"]) else { return nil }
        let expected = "a topic of at most 249 letters, digits, `.`, `_` and `-`"
        guard let topic = fields.required("topic", expected), let text = topic.text(expected) else { return nil }
        let isLegal = text.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f: true
            default: false
            }
        }
        guard isLegal, text.utf8.count <= 249, text != ".", text != ".." else {
            topic.reject("found \(quoted(text))", expected: expected)
            return nil
        }
        return text
    }

    // MARK: Plugins

    private func webhook(_ value: YAMLValue) -> DestinationSpec.Kind? {
        guard let fields = value.fields(["url", "secret", "timeout"]) else { return nil }
        let expected = "a URL such as https://plugin.example/events"
        let given = fields.required("url", expected)
        let url = given?.text(expected)
        let secret = webhookSecret(fields.required("secret", "a text, or { file: PATH }"))
        let timeout = fields["timeout"]?.duration(in: WebhookSpec.timeoutRange)
        guard let url, let secret else { return nil }
        let parts = URLComponents(string: url)
        let isFit =
            ["http", "https"].contains(parts?.scheme) && parts?.host?.isEmpty == false && parts?.user == nil
            && parts?.fragment == nil
        guard isFit else {
            given?.reject("found \(quoted(url))", expected: expected)
            return nil
        }
        return .webhook(WebhookSpec(url: url, secret: secret, timeout: timeout ?? WebhookSpec.defaultTimeout))
    }

    private func webhookSecret(_ value: YAMLValue?) -> WebhookSpec.Secret? {
        guard let value else { return nil }
        guard case .mapping = value.node else { return value.text("a text, or { file: PATH }").map { .text($0) } }
        return path(value.fields(["file"])?.required("file", "the path of the secret's file")).map { .file(path: $0) }
    }

    private func nanomsg(_ value: YAMLValue) -> DestinationSpec.Kind? {
        guard let fields = value.fields(["address"]) else { return nil }
        let expected = "an address such as tcp://127.0.0.1:9301"
        guard let given = fields.required("address", expected), let address = given.text(expected) else { return nil }
        guard address.hasPrefix("tcp://"), Self.isHostAndPort(String(address.dropFirst(6))) else {
            given.reject("found \(quoted(address))", expected: expected)
            return nil
        }
        return .nanomsg(NanomsgPluginSpec(address: address))
    }
}
