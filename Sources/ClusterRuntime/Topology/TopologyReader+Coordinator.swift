extension TopologyReader {
    /// Members of one etcd cluster; seven are the most that etcd's own documents speak of.
    private static let maximumEndpoints = 16
    private static let maximumPrefix = 256
    private static let etcdKeys = ["endpoints", "prefix", "tls", "user", "password"]

    /// - Parameter cluster: the cluster's name, from which etcd's prefix follows where none is given.
    func coordinator(_ value: YAMLValue?, cluster: String) -> Topology.CoordinatorSource {
        let nothing = Topology.CoordinatorSource.embedded(path: "")
        guard let fields = value?.fields(["kind", "path"] + Self.etcdKeys) else { return nothing }
        let kind = fields.required("kind", "embedded or etcd")?.choice([("embedded", false), ("etcd", true)])
        // What belongs beside another kind is that kind's business.
        guard let isEtcd = kind else { return nothing }
        for key in isEtcd ? ["path"] : Self.etcdKeys {
            fields[key]?.reject(
                "not for kind \(isEtcd ? "etcd" : "embedded")",
                expected: isEtcd ? Self.etcdKeys.joined(separator: ", ") : "path alone")
        }
        guard isEtcd else {
            return path(fields.required("path", "the path of the file")).map { .embedded(path: $0) } ?? nothing
        }
        return etcd(fields, cluster: cluster).map { .etcd($0) } ?? nothing
    }

    private func etcd(_ fields: YAMLFields, cluster: String) -> EtcdSpec? {
        let endpoints = endpoints(fields.required("endpoints", "a list such as [http://127.0.0.1:2379]"))
        let tls = fields["tls"].flatMap { etcdTLS($0, endpoints) }
        let login = login(fields, endpoints)
        let prefix = fields["prefix"].map { keyPrefix($0) } ?? "/rollcall/\(cluster)"
        guard !endpoints.isEmpty, let prefix else { return nil }
        return EtcdSpec(endpoints: endpoints.map(\.url), prefix: prefix, tls: tls, login: login)
    }

    private func endpoints(_ value: YAMLValue?) -> [EtcdEndpoint] {
        guard let value else { return [] }
        let before = problems.count
        var endpoints: [EtcdEndpoint] = []
        for item in value.items(atMost: Self.maximumEndpoints) {
            let expected = "a URL such as http://127.0.0.1:2379: scheme, host and port alone"
            guard let text = item.text(expected) else { continue }
            guard let endpoint = EtcdEndpoint(text) else {
                item.reject("found \(quoted(text))", expected: expected)
                continue
            }
            if endpoints.contains(endpoint) { item.reject("\(endpoint.url) twice", expected: "each endpoint once") }
            if let first = endpoints.first, first.isSecure != endpoint.isSecure {
                item.reject("http and https", expected: "one of them for all endpoints")
            }
            endpoints.append(endpoint)
        }
        if endpoints.isEmpty, problems.count == before { value.reject("no endpoint", expected: "at least one") }
        return endpoints
    }

    private func keyPrefix(_ value: YAMLValue) -> String? {
        let expected = "a key's beginning such as /rollcall/main, without a slash at its end"
        guard let text = value.text(expected) else { return nil }
        let isPlain = text.utf8.allSatisfy { (0x21...0x7e).contains($0) }
        guard isPlain, text.hasPrefix("/"), !text.hasSuffix("/"), text.utf8.count <= Self.maximumPrefix else {
            value.reject("found \(quoted(text))", expected: expected)
            return nil
        }
        return text
    }

    private func etcdTLS(_ value: YAMLValue, _ endpoints: [EtcdEndpoint]) -> EtcdSpec.TLS? {
        guard let fields = value.fields(["ca", "cert", "key"]) else { return nil }
        if let plain = endpoints.first(where: { !$0.isSecure }) {
            value.reject("not for \(plain.url)", expected: "https endpoints")
        }
        let certificate = path(fields["cert"])
        let key = path(fields["key"])
        if (fields["cert"] == nil) != (fields["key"] == nil) {
            value.reject("cert or key alone", expected: "both, or none where etcd asks for no client certificate")
        }
        return EtcdSpec.TLS(caPath: path(fields["ca"]), certificatePath: certificate, keyPath: key)
    }

    private func login(_ fields: YAMLFields, _ endpoints: [EtcdEndpoint]) -> EtcdSpec.Login? {
        guard let user = fields["user"] else {
            fields["password"]?.reject("a password without user", expected: "user as well")
            return nil
        }
        let file = fields.required("password", "{ file: PATH }, for user")?.fields(["file"])
        if let open = endpoints.first(where: { !$0.isSecure && !NetworkAddress.isLoopback($0.host) }) {
            user.reject("a password for \(open.url)", expected: "https, or http on loopback alone")
        }
        let name = user.text("the user's name")
        guard let name, let path = path(file?.required("file", "the path of the password's file")) else { return nil }
        return EtcdSpec.Login(user: name, passwordPath: path)
    }
}
