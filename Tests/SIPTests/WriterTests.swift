import SIP
import Testing

@Suite struct WriterTests {
    private func request(_ via: String, to: String = "<sip:a@h>") throws -> SIPMessage {
        let lines = [
            "REGISTER sip:h SIP/2.0", "v: \(via)", "Via: SIP/2.0/TCP z", "From: <sip:a@h>;tag=f", "t: \(to)", "i: c",
            "CSeq: 7 REGISTER", "", "",
        ]
        return try SIPMessage.parse([UInt8](lines.joined(separator: "\r\n").utf8))
    }

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test func responseRepeatsTheRequestAndAddsItsOwn() throws {
        var writer = ResponseWriter(
            200, to: try request("SIP/2.0/UDP h;rport;branch=b"), received: "192.0.2.1", rport: 5062, toTag: "new")
        writer.header("Contact") {
            $0.append("<sip:a@h>;expires=")
            $0.append(60 as UInt64)
        }
        writer.header("Min-Expires", 30 as UInt32)
        #expect(
            text(writer.finish(body: [UInt8]("body".utf8)))
                == "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;rport=5062;branch=b;received=192.0.2.1\r\n"
                + "Via: SIP/2.0/TCP z\r\n"
                + "From: <sip:a@h>;tag=f\r\nTo: <sip:a@h>;tag=new\r\ni: c\r\nCSeq: 7 REGISTER\r\n"
                + "Contact: <sip:a@h>;expires=60\r\nMin-Expires: 30\r\nContent-Length: 4\r\n\r\nbody")
    }

    /// What the sender claims of its own address does not stay beside what was seen.
    @Test(arguments: [
        ("SIP/2.0/UDP h;branch=b", "SIP/2.0/UDP h;branch=b;received=192.0.2.1;rport=5062"),
        ("SIP/2.0/UDP h;received=1.1.1.1;rport=1;branch=b", "SIP/2.0/UDP h;rport=5062;branch=b;received=192.0.2.1"),
        ("SIP/2.0/UDP h;rport = 1 ;received=x", "SIP/2.0/UDP h;rport=5062;received=192.0.2.1"),
        ("SIP/2.0/UDP h;rport;received=x;branch=b", "SIP/2.0/UDP h;rport=5062;branch=b;received=192.0.2.1"),
        ("SIP/2.0/UDP h;rport , SIP/2.0/UDP i", "SIP/2.0/UDP h;rport=5062;received=192.0.2.1 , SIP/2.0/UDP i"),
    ])
    func topViaSaysWhereTheRequestCameFrom(_ via: String, _ wanted: String) throws {
        let bytes = ResponseWriter(100, to: try request(via), received: "192.0.2.1", rport: 5062).finish()
        #expect(text(bytes).split(separator: "\r\n")[1] == "Via: \(wanted)")
    }

    @Test(arguments: [
        ("<sip:a@h>;tag=x", "t: <sip:a@h>;tag=x"),
        ("\"tag=y;<\" <sip:a@h;tag=z>", "To: \"tag=y;<\" <sip:a@h;tag=z>;tag=new"),
        ("sip:a@h;tag=x", "t: sip:a@h;tag=x"), ("sip:a@h", "To: sip:a@h;tag=new"),
    ])
    func toGetsATagOnlyWhenItHasNone(_ to: String, _ wanted: String) throws {
        let bytes = ResponseWriter(200, to: try request("SIP/2.0/UDP h", to: to), toTag: "new").finish()
        #expect(text(bytes).split(separator: "\r\n")[4] == wanted)
    }

    @Test func valuesCannotEndTheirLine() throws {
        var writer = ResponseWriter(400, reason: "a\r\nX: b", to: try request("SIP/2.0/UDP h"))
        writer.header("Warning", "c\r\nY: d")
        writer.header("Reason") { $0.append(quoted: "q\"\\\r\n") }
        let answer = try SIPMessage.parse(writer.finish())
        #expect(answer.headerCount == 9 && answer.first(named: "X") == nil && answer.first(named: "Y") == nil)
        #expect(answer.first(.warning)?.string == "c  Y: d" && answer.first(.reason)?.unquoted.string == "q\"\\  ")
    }

    @Test func whatMayNotStandWhereItIsIsEscaped() {
        func written(_ write: (inout ByteWriter) -> Void) -> String {
            var writer = ByteWriter()
            write(&writer)
            return text(writer.bytes)
        }
        #expect(written { $0.append(user: "+1001;a&b".utf8) } == "+1001;a&b")
        #expect(written { $0.append(user: "a@b<c>\"d%41é".utf8) } == "a%40b%3Cc%3E%22d%2541%C3%A9")
        #expect(written { $0.append(uriParameter: "urn:uuid:1;x=\"y".utf8) } == "urn:uuid:1%3Bx%3D%22y")
    }

    @Test func requestHasTheLinesThatEachMustHave() throws {
        var writer = RequestWriter(
            .options, uri: "sip:a@192.0.2.1:5062", via: "UDP 192.0.2.9:5060;branch=z9hG4bK1;rport",
            from: "<sip:h>;tag=1", to: "<sip:a@h>", callID: "c@h", cseq: 4_294_967_295)
        writer.header("Accept", "application/sdp")
        let request = try SIPMessage.parse(writer.finish())
        let essentials = try request.essentials()
        #expect(request.method == .options && request.requestURI?.string == "sip:a@192.0.2.1:5062")
        #expect(essentials.via.rport == .flag && essentials.maxForwards?.hops == 70)
        #expect(essentials.cseq == CSeq(number: .max, method: .options) && essentials.callID.string == "c@h")
        #expect(request.first(.contentLength)?.string == "0")
    }

    @Test func everyClassOfStatusHasAPhrase() {
        #expect(
            ReasonPhrase.of(423).description == "Interval Too Brief"
                && ReasonPhrase.of(503).description == "Service Unavailable")
        for (status, phrase) in [
            (199, "Session Progress"), (299, "OK"), (399, "Multiple Choices"), (499, "Bad Request"),
            (599, "Server Internal Error"), (699, "Decline"),
        ] {
            #expect(ReasonPhrase.of(status).description == phrase)
        }
    }
}
