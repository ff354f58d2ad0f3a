extension TopologyReader {
    /// What `sip` of a node holds; every `sg` node needs it, and no other may have it.
    func sipListen(_ fields: YAMLFields, role: NodeRole) -> SIPListen? {
        guard role == .sg else {
            fields["sip"]?.reject("not for role \(role.name)", expected: "sip at sg nodes alone")
            return nil
        }
        let known = ["udp", "tcp", "tls", "ws", "wss", "open", "service_route", "shared"]
        guard let value = fields.required("sip", "{ udp: PORT, tcp: PORT }"), let sip = value.fields(known) else {
            return nil
        }
        let listeners = ["udp", "tcp", "tls", "ws", "wss"]
        if listeners.allSatisfy({ sip[$0] == nil }) {
            value.reject("no listener", expected: "at least one of \(listeners.joined(separator: ", "))")
        }
        return SIPListen(
            udp: port(sip["udp"]), tcp: port(sip["tcp"]), tls: tls(sip["tls"], "SIP over TLS"), ws: port(sip["ws"]),
            wss: tls(sip["wss"], "SIP over websocket and TLS"),
            isOpen: sip["open"]?.flag() ?? false, serviceRoute: serviceRoute(sip["service_route"]),
            sharedNetworks: sharedNetworks(sip["shared"]))
    }

    private static let maximumSharedAddresses = 1_024

    private func sharedNetworks(_ value: YAMLValue?) -> [String] {
        (value?.items(atMost: Self.maximumSharedAddresses) ?? []).compactMap { item in
            let expected = "an IPv4 or IPv6 address that many devices share"
            guard let text = item.text(expected) else { return nil }
            if NetworkAddress.isNumeric(text) { return NetworkOfAddress.text(text) }
            item.reject("found \(quoted(text))", expected: expected)
            return nil
        }
    }

    /// Most proxies that devices are led over.
    private static let maximumRoutes = 8
    private static let maximumRouteLength = 256

    private func serviceRoute(_ value: YAMLValue?) -> [String] {
        (value?.items(atMost: Self.maximumRoutes) ?? []).compactMap { item in
            let expected = "a SIP URI with lr and without < and >, such as sip:edge.example;lr"
            guard let text = item.text(expected) else { return nil }
            if isRoute(text) { return text }
            item.reject("found \(quoted(text))", expected: expected)
            return nil
        }
    }

    /// Whether it is a SIP URI that loose routing can use: `sip:[user@]host[:port];lr`, with other parameters at will.
    /// Sources: RFC 3261 sections 19.1.1 and 19.1.5, RFC 3608 section 6.
    private func isRoute(_ text: String) -> Bool {
        let isPlain = text.utf8.allSatisfy { (0x21...0x7e).contains($0) && !"<>\",\\?".utf8.contains($0) }
        guard isPlain, text.utf8.count <= Self.maximumRouteLength, let colon = text.firstIndex(of: ":"),
            ["sip", "sips"].contains(text[..<colon].lowercased())
        else { return false }
        let parts = text[text.index(after: colon)...].split(separator: ";", omittingEmptySubsequences: false)
        guard parts.dropFirst().contains(where: { $0.lowercased() == "lr" || $0.lowercased().hasPrefix("lr=") })
        else { return false }
        let hostAndPort = parts[0].split(separator: "@", omittingEmptySubsequences: false)
        guard hostAndPort.count <= 2, hostAndPort.allSatisfy({ !$0.isEmpty }), let last = hostAndPort.last else {
            return false
        }
        // An IPv6 address is in brackets, so that its colons are not taken for the port's.
        let bracket = last.hasPrefix("[") ? last.firstIndex(of: "]") : last.startIndex
        guard let bracket, let portColon = last[bracket...].firstIndex(of: ":") else {
            return bracket != nil && isHost(last)
        }
        let port = Int(last[last.index(after: portColon)...])
        return port.map((1...65_535).contains) == true && isHost(last[..<portColon])
    }

    private func isHost(_ text: Substring) -> Bool {
        guard text.hasPrefix("["), text.hasSuffix("]") else { return NetworkAddress.isValid(String(text)) }
        return NetworkAddress.isValid(String(text.dropFirst().dropLast()))
    }

    private func tls(_ value: YAMLValue?, _ what: String) -> SIPListen.TLS? {
        guard let fields = value?.fields(["listen", "cert", "key"]) else { return nil }
        let port = port(fields.required("listen", "the port for \(what)"))
        let files = tlsFiles(fields)
        guard let port, let files else { return nil }
        return SIPListen.TLS(port: port, files: files)
    }
}
