import Yams

extension TopologyReader {
    /// Most origins of a node.
    private static let maximumOrigins = 64

    /// What `websocket` of a node holds; every `wssubscr` needs it, and no other may have it.
    func webSocketListen(_ fields: YAMLFields, role: NodeRole) -> WebSocketListen? {
        guard role == .wssubscr else {
            fields["websocket"]?.reject(
                "not for role \(role.name)", expected: "websocket at wssubscr nodes alone")
            return nil
        }
        let known = ["listen", "tls", "origins", "deflate", "diagnostics"]
        guard let websocket = fields.required("websocket", "{ listen: PORT }")?.fields(known) else { return nil }
        let port = port(websocket.required("listen", "the port for websockets"))
        let tls = websocket["tls"].flatMap { tls in tls.fields(["cert", "key"]).flatMap { tlsFiles($0) } }
        let origins = websocket["origins"].map { originPatterns($0) }
        let deflates = websocket["deflate"]?.flag()
        let hasDiagnostics = websocket["diagnostics"]?.flag()
        return port.map {
            WebSocketListen(
                port: $0, tls: tls, origins: origins, deflates: deflates ?? true,
                hasDiagnostics: hasDiagnostics ?? false)
        }
    }

    private func originPatterns(_ value: YAMLValue) -> [OriginPattern] {
        let items = value.items(atMost: Self.maximumOrigins)
        if items.isEmpty, case .sequence = value.node {
            value.reject("no origin", expected: "at least one, or origins to be left out")
        }
        return items.compactMap { item in
            let expected = "an origin such as https://app.example, or \"*.example\" for all hosts below a name"
            guard let text = item.text(expected) else { return nil }
            if let pattern = OriginPattern(text) { return pattern }
            item.reject("found \(quoted(text))", expected: expected)
            return nil
        }
    }

    /// `cert` and `key` of a `tls`.
    func tlsFiles(_ fields: YAMLFields) -> TLSFiles? {
        let certificate = path(fields.required("cert", "the path of the certificate chain"))
        let key = path(fields.required("key", "the path of the private key"))
        guard let certificate, let key else { return nil }
        return TLSFiles(certificatePath: certificate, keyPath: key)
    }
}
