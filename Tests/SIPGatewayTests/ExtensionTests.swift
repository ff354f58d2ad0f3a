import Foundation
import NIOCore
import SIP
import Testing

@testable import SIPGateway

/// Methods, extensions, and where answers go.
@Suite struct ExtensionTests {
    @Test func otherMethodsAreRefusedWithThoseThatAreNot() throws {
        var test = try TestRegistrar()
        var phone = Phone()
        for method in ["INVITE", "NOTIFY", "MESSAGE", "register", "X-NEW"] {
            let answer = try test.answer(phone.request(method, uri: "sip:demo.example"))
            #expect((answer.status, answer[.allow]) == (405, "REGISTER"), "\(method)")
            #expect(answer.all(.allow) == ["REGISTER", "OPTIONS", "SUBSCRIBE"])
        }
        #expect(try test.receive(phone.request("ACK", uri: "sip:demo.example")).isEmpty)
        #expect(try test.answer(phone.request("INVITE", uri: "<sip:demo.example>")).status == 400)
    }

    @Test func optionsTellWhatThereIs() throws {
        var test = try TestRegistrar()
        var phone = Phone()
        let answer = try test.answer(phone.request("OPTIONS", uri: "sip:demo.example"))
        #expect(answer.status == 200)
        #expect(answer.all(.allow) == ["REGISTER", "OPTIONS", "SUBSCRIBE"])
        #expect(answer.all(.allowEvents) == ["reg"])
        #expect(answer.all(.supported) == ["path", "outbound", "gruu"])
        #expect(try test.answer(phone.request("OPTIONS", uri: "soap.beep://192.0.2.103")).status == 416)
    }

    @Test(arguments: ["REGISTER", "OPTIONS"])
    func whatIsRequiredAndUnknownIsNamed(method: String) throws {
        var test = try TestRegistrar()
        var phone = Phone()
        let answer = try test.answer(
            phone.request(method, uri: "sip:demo.example", ["Require: path, 100rel, gruu", "Require: teleport"]))
        #expect(answer.status == 420)
        #expect(answer.all(.unsupported) == ["100rel", "teleport"])
        #expect(try test.answer(phone.request(method, uri: "sip:demo.example", ["Require: path"])).status == 200)
    }

    @Test func aPathNeedsAClientThatKnowsIt() throws {
        var test = try TestRegistrar()
        var phone = Phone()
        let contact = "Contact: <sip:alice@192.0.2.1>;expires=120"
        let path = "Path: <sip:edge.example;lr>, <sip:inner.example;lr>"
        let refused = try test.answer(phone.register(contact, path))
        #expect((refused.status, refused[.unsupported]) == (420, "path"))
        let taken = try test.answer(phone.register(contact, path, "Supported: path"))
        #expect(taken.status == 200)
        #expect(taken.all(.path) == ["<sip:edge.example;lr>", "<sip:inner.example;lr>"])
    }

    @Test(arguments: ["garbage", "<sip:a;lr>,,<sip:b;lr>", "<tel:+1>"])
    func aPathThatNobodyCouldFollowIsRefused(path: String) throws {
        var test = try TestRegistrar()
        var phone = Phone()
        let request = phone.register("Contact: <sip:alice@192.0.2.1>", "Path: \(path)", "Supported: path")
        #expect(try test.answer(request).status == 400)
        #expect(test.registered == 0)
    }

    @Test func aFlowGoesAlone() throws {
        var test = try TestRegistrar()
        var phone = Phone()
        let flow = "Contact: <sip:alice@192.0.2.1>;+sip.instance=\"<urn:uuid:1>\";reg-id=1"
        let other = "Contact: <sip:alice@192.0.2.2>"
        #expect(try test.answer(phone.register(flow, other, "Supported: outbound")).status == 400)
        #expect(test.registered == 0)
        // What is removed is no flow any more, and without `outbound` there are none.
        #expect(try test.answer(phone.register(flow, other + ";expires=0", "Supported: outbound")).status == 200)
        #expect(try test.answer(phone.register(flow, other)).status == 200)
    }

    @Test func aFlowReplacesTheOneOfItsNumber() throws {
        var test = try TestRegistrar()
        var phone = Phone()
        func contact(_ port: Int, _ flow: Int) -> String {
            "Contact: <sip:alice@192.0.2.1:\(port)>;+sip.instance=\"<urn:uuid:1>\";reg-id=\(flow);expires=120"
        }
        let first = try test.answer(phone.register(contact(1, 1), "Supported: outbound"))
        #expect((first[.require], first[.flowTimer]) == ("outbound", "120"))
        try test.receive(phone.register(contact(2, 2), "Supported: outbound"))
        let moved = try test.answer(phone.register(contact(3, 1), "Supported: outbound"))
        #expect(try moved.contacts == ["sip:alice@192.0.2.1:2", "sip:alice@192.0.2.1:3"])
        #expect(moved[.contact]?.contains(";+sip.instance=\"<urn:uuid:1>\";reg-id=") == true)
        // Without `outbound`, or without an instance, it is an address like others.
        let plain = try test.answer(phone.register(contact(4, 1)))
        #expect(plain[.require] == nil && plain.all(.contact).count == 3)
        let nameless = try test.answer(
            phone.register("Contact: <sip:alice@192.0.2.1:5>;reg-id=1;expires=120", "Supported: outbound"))
        #expect(nameless[.require] == nil && nameless.all(.contact).count == 4)
    }

    @Test func aFlowThroughAProxyNeedsOneThatKeepsIt() throws {
        var test = try TestRegistrar()
        var phone = Phone()
        let contact = "Contact: <sip:alice@192.0.2.1>;+sip.instance=\"<urn:uuid:1>\";reg-id=1"
        func status(_ headers: String...) throws -> Int {
            let via = "Via: SIP/2.0/UDP 192.0.2.77;branch=z9hG4bKinner"
            return try test.answer(phone.register([contact, "Supported: outbound, path", via] + headers)).status
        }
        #expect(try status() == 439)
        #expect(try status("Path: <sip:edge.example;lr>") == 439)
        #expect(try status("Path: <sip:edge.example;lr;ob>") == 200)
    }

    @Test func whoAsksForNoFlowNeedsNoProxyThatKeepsOne() throws {
        var test = try TestRegistrar()
        var phone = Phone()
        let via = "Via: SIP/2.0/UDP 192.0.2.77;branch=z9hG4bKinner"
        for contact in ["", ";+sip.instance=\"<urn:uuid:1>\"", ";reg-id=1"] {
            let answer = try test.answer(
                phone.register("Contact: <sip:alice@192.0.2.1>\(contact)", "Supported: outbound, path", via))
            #expect((answer.status, answer[.require]) == (200, nil), "\(contact)")
        }
        #expect(try test.answer(phone.register("Supported: outbound, path", via)).status == 200)
    }

    @Test func aGRUUIsGivenToWhoAsksForIt() throws {
        var test = try TestRegistrar()
        var phone = Phone()
        let contact = "Contact: <sip:alice@192.0.2.1>;+sip.instance=\"<urn:uuid:1>\";expires=120"
        let plain = try #require(try test.answer(phone.register(contact))[.contact])
        #expect(!plain.contains("gruu"))
        let gruu = try #require(try test.answer(phone.register(contact, "Supported: gruu"))[.contact])
        #expect(gruu.contains(";pub-gruu=\"sip:alice@demo.example;gr=urn:uuid:1\""))
        #expect(gruu.contains(";temp-gruu=\"sip:tgruu."))
    }

    @Test func whatADeviceSaysEndsNeitherQuotesNorAddresses() throws {
        var test = try TestRegistrar()
        var phone = Phone(account: "al%40i%3Cce")
        let contact = "Contact: <sip:alice@192.0.2.1>;+sip.instance=\"<urn:x:\\\";\\\\@>\";expires=120"
        let answer = try test.answer(phone.register(contact, "Supported: gruu"))
        let line = try #require(answer.message.first(.contact))
        guard case .address(let address, let expires, _, let instance, _) = try ContactField(parsing: line) else {
            Issue.record("no address: \(line)")
            return
        }
        #expect((instance, expires) == ("urn:x:\";\\@", 120))
        let gruu = try SIPURI(parsing: try #require(address.parameters["pub-gruu"]))
        #expect((gruu.decodedUser, gruu.host.string) == ("al@i<ce", "demo.example"))
        #expect(gruu.text.string.hasPrefix("sip:al%40i%3Cce@demo.example;gr="))
        #expect(gruu.gruu?.percentDecoded.string == instance)
    }

    @Test func aGRUUOfTheDomainIsNoContact() throws {
        var test = try TestRegistrar()
        var phone = Phone()
        let own = "Contact: <sip:alice@demo.example;gr=urn:uuid:1>;expires=120"
        #expect(try test.answer(phone.register(own)).status == 403)
        let other = "Contact: <sip:alice@elsewhere.example;gr=urn:uuid:1>;expires=120"
        #expect(try test.answer(phone.register(other)).status == 200)
    }

    @Test func theTopViaSaysWhereTheRequestCameFrom() throws {
        var test = try TestRegistrar()
        var phone = Phone()
        let route = try TestRegistrar.route("198.51.100.7", 40_000)
        let answer = try test.answer(phone.register("Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKinner"), from: route)
        let via = try Via(parsing: try #require(answer.message.first(.via)))
        #expect(via.received?.string == "198.51.100.7" && via.rport == .value(40_000))
        #expect(answer.all(.via).last == "SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKinner")
    }

    /// RFC 3261 section 18.2.2 and RFC 3581 section 4.
    @Test func withoutRPortTheAnswerGoesToThePortOfTheVia() throws {
        let route = try TestRegistrar.route("198.51.100.7", 40_000)
        func port(_ via: String) throws -> Int? {
            guard case .datagram(let address) = route.answering(try Via(parsing: SIPText(via))).way else { return nil }
            #expect(address.ipAddress == "198.51.100.7")
            return address.port
        }
        #expect(try port("SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK1") == 5070)
        #expect(try port("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1") == 5060)
        #expect(try port("SIP/2.0/UDP 10.0.0.1:5070;rport;branch=z9hG4bK1") == 40_000)
        // Nothing can be sent to port 0.
        #expect(try port("SIP/2.0/UDP 10.0.0.1:0;branch=z9hG4bK1") == 40_000)
        var linkLocal = sockaddr_in6()
        linkLocal.sin6_family = sa_family_t(AF_INET6)
        (linkLocal.sin6_port, linkLocal.sin6_scope_id) = (UInt16(40_000).bigEndian, 3)
        withUnsafeMutableBytes(of: &linkLocal.sin6_addr) { $0.copyBytes(from: [0xFE, 0x80]) }
        let neighbour = SocketAddress(linkLocal, host: "")
        let answering = Route(way: .datagram(neighbour), peer: SIPPeer(.udp, neighbour))
            .answering(try Via(parsing: SIPText("SIP/2.0/UDP h:5070")))
        guard case .datagram(.v6(let kept)) = answering.way else {
            Issue.record("\(answering.way) is no address of IPv6")
            return
        }
        #expect((kept.address.sin6_scope_id, UInt16(bigEndian: kept.address.sin6_port)) == (3, 5_070))
        let stream = try TestRegistrar.stream(7)
        guard case .stream(7) = stream.answering(try Via(parsing: SIPText("SIP/2.0/TCP 10.0.0.1:5070"))).way else {
            Issue.record("an answer left its connection")
            return
        }
    }
}
