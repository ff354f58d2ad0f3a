import Digests
import RegistrarEvents

extension TopologyReader {
    /// Most domains of one topology.
    static let maximumDomains = 50_000

    func domains(_ value: YAMLValue?, limits: Limits) -> [Located<DomainSpec>] {
        guard let value else { return [] }
        let items = value.items(atMost: Self.maximumDomains)
        if items.isEmpty { value.reject("no domain", expected: "at least one domain") }
        return items.compactMap { domain($0, limits: limits) }
    }

    private func domain(_ value: YAMLValue, limits: Limits) -> Located<DomainSpec>? {
        let known = ["name", "replicas", "pin", "spread", "limits", "expires", "availability", "digest", "kafka"]
        let elsewhere = [
            "destinations": "`destinations` of the whole topology, with `domains`",
            "plugins": "`destinations.plugins` of the whole topology, with `domains`",
            "group": "`group` and `include_domains` of sr nodes",
            "sites": "`sites` of the whole topology",
        ]
        guard let fields = value.fields(known, elsewhere: elsewhere) else { return nil }
        let name = domainName(fields.required("name", "the domain's name"))
        let replicas = fields["replicas"]?.integer(in: DomainSpec.replicasRange)
        let own = fields["limits"]?.fields(["contacts", "devices"])
        let expires = expires(fields["expires"])
        let availability = fields["availability"]?.choice(
            DomainSpec.Availability.allCases.map { ($0.rawValue, $0) })
        let digest = digest(fields["digest"])
        let kafkaTopic = kafkaTopic(fields["kafka"])
        let pin = pin(fields["pin"])
        let spread = fields["spread"]?.choice(DomainSpec.Spread.allCases.map { ($0.rawValue, $0) })
        let spec = name.map { name in
            DomainSpec(
                name: name,
                replicas: replicas ?? DomainSpec.defaultReplicas,
                contacts: own?["contacts"]?.integer(in: 1...100_000_000) ?? limits.contactsPerDomain,
                devices: own?["devices"]?.integer(in: 1...10_000) ?? limits.devices,
                minimumExpires: expires.lowerBound, maximumExpires: expires.upperBound,
                availability: availability ?? .refuse, digest: digest, kafkaTopic: kafkaTopic,
                pin: pin, spread: spread ?? .server)
        }
        return spec.map { Located(value: $0, line: value.line) }
    }

    func domainName(_ value: YAMLValue?) -> DomainName? {
        guard let value, let text = value.text("a domain name") else { return nil }
        if let name = DomainName(text) { return name }
        value.reject("found \(quoted(text))", expected: "a domain name such as demo.example")
        return nil
    }

    private func digest(_ value: YAMLValue?) -> [DigestAlgorithm] {
        guard let value else { return DomainSpec.defaultDigest }
        let items = value.items(atMost: DigestAlgorithm.allCases.count)
        let algorithms = items.compactMap { $0.choice(DigestAlgorithm.allCases.map { ($0.name, $0) }) }
        if Set(algorithms).count < algorithms.count { value.reject("one twice", expected: "each algorithm once") }
        if items.isEmpty { value.reject("no algorithm", expected: "at least one, such as [MD5]") }
        return algorithms.isEmpty ? DomainSpec.defaultDigest : algorithms
    }

    private func expires(_ value: YAMLValue?) -> ClosedRange<Duration> {
        let fallback = DomainSpec.defaultMinimumExpires...DomainSpec.defaultMaximumExpires
        guard let value, let fields = value.fields(["min", "max"]) else { return fallback }
        let least =
            fields["min"]?.duration(in: DomainSpec.expiresRange, bareSeconds: true) ?? fallback.lowerBound
        let most =
            fields["max"]?.duration(in: DomainSpec.expiresRange, bareSeconds: true) ?? fallback.upperBound
        guard least <= most else {
            value.reject(
                "min \(Quantity.text(least)) is above max \(Quantity.text(most))", expected: "min at most max"
            )
            return fallback
        }
        return least...most
    }
}
