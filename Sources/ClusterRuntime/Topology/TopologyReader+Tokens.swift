import RegistrarEvents

/// Tokens of other issuers: the section `jwt`.
extension TopologyReader {
    private static let trustKeys = ["issuer", "audience", "domains", "scopes"]
    private static let maximumDomainsOfKey = 1_000

    func tokens(_ value: YAMLValue?) -> TokenSettings {
        guard let value, let fields = value.fields(["keys", "jwks", "roles"]) else { return TokenSettings() }
        let keys = (fields["keys"]?.items(atMost: 64) ?? []).compactMap(tokenKey)
        for (index, key) in keys.enumerated() where keys[..<index].contains(where: { $0.keyID == key.keyID }) {
            value.reject(
                key.keyID.map { "kid \(quoted($0)) is given to two keys" } ?? "two keys have no kid",
                expected: "a kid of its own for each key")
        }
        let keySets = (fields["jwks"]?.items(atMost: 8) ?? []).compactMap(tokenKeySet)
        return TokenSettings(keys: keys, keySets: keySets, roles: roles(fields["roles"]))
    }

    private func tokenKey(_ value: YAMLValue) -> TokenKeySpec? {
        guard let fields = value.fields(["kid", "alg", "secret", "public_key"] + Self.trustKeys) else { return nil }
        let algorithms = TokenKeySpec.Algorithm.allCases.map { ($0.rawValue, $0) }
        let algorithm = fields.required("alg", "the signature's algorithm")?.choice(algorithms)
        guard let algorithm else { return nil }
        let (wanted, other) = algorithm == .hs256 ? ("secret", "public_key") : ("public_key", "secret")
        if let surplus = fields[other] {
            surplus.reject("not for \(algorithm.rawValue)", expected: "`\(wanted)` alone")
        }
        let holder = fields.required(wanted, "{ file: PATH }")?.fields(["file"])
        guard let path = path(holder?.required("file", "the path of the key")) else { return nil }
        return TokenKeySpec(keyID: fields["kid"]?.text(), algorithm: algorithm, path: path, trust: trust(fields))
    }

    private func tokenKeySet(_ value: YAMLValue) -> TokenKeySetSpec? {
        guard let fields = value.fields(["file"] + Self.trustKeys) else { return nil }
        guard let path = path(fields.required("file", "the path of a JWKS file")) else { return nil }
        return TokenKeySetSpec(path: path, trust: trust(fields))
    }

    /// How far an issuer is believed.
    private func trust(_ fields: YAMLFields) -> IssuerTrust {
        var trust = IssuerTrust(issuer: fields["issuer"]?.text(), audience: fields["audience"]?.text())
        if let value = fields["domains"] {
            let items = value.items(atMost: Self.maximumDomainsOfKey)
            if items.isEmpty { value.reject("no domain", expected: "at least one, or the key to be left out") }
            trust.domains = items.compactMap(domainName)
        }
        if let value = fields["scopes"] { trust.scopes = words(value, AccessScope.self) }
        return trust
    }

    private func roles(_ value: YAMLValue?) -> [String: TokenRole] {
        let entries = value?.entries("a mapping of names to { classes: […], capabilities: […] }") ?? []
        if entries.count > 256 { value?.reject("\(entries.count) roles", expected: "at most 256") }
        var roles: [String: TokenRole] = [:]
        for (name, value) in entries {
            guard let fields = value.fields(["classes", "capabilities"]) else { continue }
            roles[name] = TokenRole(
                classes: fields["classes"].map { words($0, EventClass.self) } ?? Set(EventClass.allCases),
                capabilities: fields["capabilities"].map { words($0, AccessCapability.self) }
                    ?? Set(AccessCapability.allCases))
        }
        return roles
    }

    /// A list of words, each at most once.
    private func words<Word>(_ value: YAMLValue, _ type: Word.Type) -> Set<Word>
    where Word: RawRepresentable & CaseIterable & Hashable, Word.RawValue == String {
        let options = Word.allCases.map { ($0.rawValue, $0) }
        let items = value.items(atMost: options.count)
        let words = items.compactMap { $0.choice(options) }
        if Set(words).count < words.count { value.reject("one twice", expected: "each once") }
        if items.isEmpty {
            value.reject("an empty list", expected: "some of \(options.map(\.0).joined(separator: ", "))")
        }
        return Set(words)
    }
}
