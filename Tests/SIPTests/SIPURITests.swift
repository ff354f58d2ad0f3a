import SIP
import Testing

@Suite struct SIPURITests {
    private func uri(_ text: String) throws -> SIPURI { try SIPURI(parsing: SIPText(text)) }

    @Test func partsAreFound() throws {
        let uri = try uri("sips:al%69ce;day=tue:pw@Example.COM:5061;transport=tcp;lr;gr=urn:uuid:f81d?subject=x&to=")
        #expect(uri.scheme == .sips && uri.isSIP)
        #expect(uri.user?.string == "al%69ce;day=tue" && uri.decodedUser == "alice;day=tue")
        #expect(uri.password?.string == "pw" && uri.host.string == "Example.COM" && uri.port == 5061)
        #expect(uri.transport == .tcp && uri.isLooseRouter && !uri.isOutbound)
        #expect(uri.gruu?.string == "urn:uuid:f81d")
        #expect(uri.parameters.map(\.name.string) == ["transport", "lr", "gr"])
        #expect(uri.headers.map { $0.value?.string } == ["x", ""])
    }

    @Test func otherSchemesAreKeptWhole() throws {
        #expect(try uri("tel:+1-201-555-0123;phone-context=x").user?.string == "+1-201-555-0123")
        #expect(try uri("urn:service:sos").scheme == .other("urn"))
        #expect(try uri("http://example.com/?a=b#c").scheme == .other("http"))
        #expect(try uri("http://example.com").host.isEmpty)
    }

    /// RFC 3261 section 19.1.4.
    @Test(arguments: [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com"
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x"
        ),
    ])
    func equalURIsOfTheRFCAreEqual(_ left: String, _ right: String) throws {
        #expect(try uri(left).isEquivalent(to: uri(right)) && uri(right).isEquivalent(to: uri(left)))
    }

    /// RFC 3261 section 19.1.4.
    @Test(arguments: [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=off", "sip:carol@chicago.com;security=on"),
        ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
        ("sip:bob@biloxi.com", "sip:bob:pw@biloxi.com"),
        ("sip:bob@biloxi.com;user=phone", "sip:bob@biloxi.com"),
    ])
    func differentURIsOfTheRFCDiffer(_ left: String, _ right: String) throws {
        #expect(try !uri(left).isEquivalent(to: uri(right)) && !uri(right).isEquivalent(to: uri(left)))
        #expect(try uri(left).canonical != uri(right).canonical)
    }

    @Test func canonicalTextsAreSharedAsFarAsEqualityIsTransitive() throws {
        func canonical(_ text: String) throws -> String { String(decoding: try uri(text).canonical, as: UTF8.self) }
        #expect(try canonical("SIP:%61lice@AtLanTa.CoM;Transport=TCP;LR") == "sip:alice@atlanta.com;lr;transport=tcp")
        #expect(try canonical("sip:a%2fb%C3%A9@h") == "sip:a%2Fb%C3%A9@h")
        #expect(try canonical("sip:a@[2001:DB8::0001]:5060") == canonical("sip:a@[2001:db8:0:0::1]:5060"))
        #expect(try canonical("sip:a@[::ffff:192.0.2.1]") == canonical("sip:a@[::FFFF:c000:201]"))
        #expect(try canonical("sip:a@h?b=1&A=2") == canonical("sip:a@h?a=2&B=1"))
        #expect(try canonical("tel:+1-201-(555).0123") == canonical("tel:+12015550123"))
        // Equal by the RFC, but to one and the same third: kept apart.
        #expect(try canonical("sip:a@h;line=1") != canonical("sip:a@h;line=2"))
        #expect(try canonical("sip:a@h;line=1") != canonical("sip:a@h"))
    }

    /// Found by the fuzzer: a URI was not its own equal.
    @Test func ofARepeatedParameterTheFirstCounts() throws {
        #expect(try uri("sip:a@h;x=1;b;x=2").isEquivalent(to: uri("sip:a@h;X=1;x=2;b")))
        #expect(try !uri("sip:a@h;x=1;x=2").isEquivalent(to: uri("sip:a@h;x=2;x=1")))
    }

    @Test func manyParametersAreComparedInTime() throws {
        let many = try uri("sip:a@h" + (0..<2_000).map { ";p\($0)" }.joined())
        let reversed = try uri("sip:a@h" + (0..<2_000).reversed().map { ";p\($0)" }.joined())
        let start = ContinuousClock.now
        #expect(many.isEquivalent(to: reversed) && many.canonical == reversed.canonical)
        #expect(ContinuousClock.now - start < .seconds(2))
    }

    @Test(arguments: [
        "", "sip", "sip:", ":a@b", "sip:@h", "sip:a@", "sip:a@@h", "sip:a b@h", "sip:a@h:", "sip:a@h:65536",
        "sip:a@h:99999999999999999999", "sip:a@h;", "sip:a@h;;x", "sip:a@h;x=", "sip:a@h?", "sip:a@h?x", "sip:%4@h",
        "sip:%zz@h", "sip:a@[::1", "sip:a@[1:2]", "sip:a@[1::2::3]", "sip:a@[1:2:3:4:5:6:7:8:9]", "sip:a@[::1.2.3]",
        "sip:a@[::1.2.3.256]", "sip:a@[12345::]", "<sip:a@h>", "tel:", "9p:x", "sip:a@h\"",
    ])
    func whatIsNoURIIsRefused(_ text: String) {
        #expect(throws: SIPParseError.self) { try uri(text) }
    }
}
