extension TopologyReader {
    /// What `sip` of a node holds; every `sg` node needs it, and no other may have it.
    func sipListen(_ fields: YAMLFields, role: NodeRole) -> SIPListen? {
        guard role == .sg else {
            fields["sip"]?.reject("not for role \(role.name)", expected: "sip at sg nodes alone")
            return nil
        }
        let known = ["udp", "tcp", "tls", "ws", "open"]
        guard let value = fields.required("sip", "{ udp: PORT, tcp: PORT }"), let sip = value.fields(known) else {
            return nil
        }
        let listeners = ["udp", "tcp", "tls", "ws"]
        if listeners.allSatisfy({ sip[$0] == nil }) {
            value.reject("no listener", expected: "at least one of \(listeners.joined(separator: ", "))")
        }
        return SIPListen(
            udp: port(sip["udp"]), tcp: port(sip["tcp"]), tls: tls(sip["tls"]), ws: port(sip["ws"]),
            isOpen: sip["open"]?.flag() ?? false)
    }

    private func tls(_ value: YAMLValue?) -> SIPListen.TLS? {
        guard let fields = value?.fields(["listen", "cert", "key"]) else { return nil }
        let port = port(fields.required("listen", "the port for SIP over TLS"))
        let certificate = path(fields.required("cert", "the path of the certificate chain"))
        let key = path(fields.required("key", "the path of the private key"))
        guard let port, let certificate, let key else { return nil }
        return SIPListen.TLS(port: port, certificatePath: certificate, keyPath: key)
    }
}
