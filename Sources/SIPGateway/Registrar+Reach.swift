import ClusterRuntime
import NIOCore
import RegistrarEvents
import SIP

/// How a registered device is reached with a question, and the question.
extension Registrar {
    /// - Returns: nil when the contact cannot be asked, and so stays.
    /// - Parameter mayAsk: whether one that has to be asked would be.
    func device(_ live: LiveContact, _ domain: DomainName, mayAsk: Bool) -> DeviceProbe.Device? {
        // What cannot be read was put there by something newer.
        guard let registration = try? live.contact.registration(), case .sipuser(let details) = registration.details,
            let reach = reach(details, domain, mayAsk: mayAsk)
        else { return nil }
        return DeviceProbe.Device(key: Array(live.contact.keyBytes), ttl: live.ttl, reach: reach)
    }

    /// - Returns: nil when nothing is known of whether it could be reached: it is at another event loop or node.
    private func reach(
        _ details: SIPUserDetails, _ domain: DomainName, mayAsk: Bool
    ) -> DeviceProbe.Device.Reach? {
        let route: Route
        let end = FlowBook.End(transport: details.transport, address: details.peerAddress, port: details.peerPort)
        let origin = FlowBook.Origin(end: end, callID: details.callID, cseq: details.cseq)
        if details.transport == Via.Transport.udp.eventName {
            // An address translator lets in only whom its device has sent to. The proxies of a path let in anybody.
            guard flows.hasHeard(origin) || !details.path.isEmpty else { return nil }
            // What was put there over REST need not be an address, or not one of a device.
            guard details.peerPort > 0,
                let address = try? SocketAddress(ipAddress: details.peerAddress, port: Int(details.peerPort)),
                address.namesADevice
            else { return nil }
            route = Route(way: .hearsay(address), peer: SIPPeer(.udp, address))
        } else {
            switch flows.state(of: origin) {
            case .open(lane: lane, let number, let peer): route = Route(way: .stream(number), peer: peer)
            case .open, .unknown: return nil
            case .closed: return .gone
            }
        }
        return mayAsk ? question(details, domain, route) : nil
    }

    /// RFC 3261 section 11.1. A device that cannot be named in a request cannot be asked.
    private func question(
        _ details: SIPUserDetails, _ domain: DomainName, _ route: Route
    ) -> DeviceProbe.Device.Reach? {
        // What was put there over REST need not be an address of SIP.
        guard let uri = try? SIPURI(parsing: SIPText(details.contactURI)), uri.isSIP, !uri.hasHeaders,
            details.path.allSatisfy({ (try? NameAddress(parsing: SIPText($0))) != nil })
        else { return nil }
        let branch = ProbeBranch.unguessable()
        let transport = route.peer.transport
        var writer = RequestWriter(
            .options, uri: details.contactURI,
            via: "\(transport.name) \(ownAddress(transport));branch=\(branch.text);rport",
            from: "<sip:\(domain)>;tag=\(branch.text)", to: "<\(details.contactURI)>",
            callID: "\(branch.text)@\(domain)", cseq: 1)
        for path in details.path { writer.header("Route", path) }
        writer.header("Accept", "application/sdp")
        return .question(writer.finish(), route, branch: branch)
    }

    /// Where a device that goes by the Via sends its answer.
    func ownAddress(_ transport: Via.Transport) -> String {
        let host = settings.host.contains(":") ? "[\(settings.host)]" : settings.host
        let listen = settings.listen
        let port: Int? =
            switch transport {
            case .udp: datagramPort ?? listen.udp
            case .tls: listen.tls?.port
            case .ws: listen.ws
            case .wss: listen.wss?.port
            case .tcp, .sctp, .other: listen.tcp
            }
        guard let port, port > 0 else { return host }
        return "\(host):\(port)"
    }
}
