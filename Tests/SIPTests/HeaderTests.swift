import SIP
import Testing

@Suite struct HeaderTests {
    private func text(_ string: String) -> SIPText { SIPText(string) }

    @Test func viaIsTakenApart() throws {
        let via = try Via(parsing: text("SIP / 2.0/ wss [2001:db8::1] : 443 ;RPORT; Branch=z9hG4bKx;maddr=h;ttl=16"))
        #expect(via.transport == .wss && via.sentByHost.string == "[2001:db8::1]" && via.sentByPort == 443)
        #expect(via.rport == .flag && via.branch?.string == "z9hG4bKx" && via.hasUniqueBranch)
        #expect(via.maddr?.string == "h" && via.ttl == 16 && via.received == nil)
        #expect(try Via(parsing: text("SIP/2.0/UDP h;rport=5060")).rport == .value(5060))
        #expect(try Via(parsing: text("SIP/2.0/X h;ttl=256")).ttl == nil)
        #expect(try Via(parsing: text("SIP/2.0/X h")).transport == .other("X"))
    }

    @Test(arguments: [
        "", "SIP", "SIP/2.0", "SIP/2.0/UDP", "SIP/2.0/UDP ", "HTTP/2.0/UDP h", "SIP/2.0/UDP h:70000", "SIP/2.0/UDP h;",
        "SIP/2.0/UDP h;;branch=x", "SIP/2.0/UDP h;rport=70000", "SIP/2.0/UDP h;branch=", "SIP/2.0/UDP h x",
        "SIP/2.0/UDP h;branch=\"x",
    ])
    func whatIsNoViaIsRefused(_ string: String) {
        #expect(throws: SIPParseError.self) { try Via(parsing: text(string)) }
    }

    @Test func addressesAreTakenApart() throws {
        let quoted = try NameAddress(parsing: text(#""A \"B\" <c>, d" <sip:a@h;x=1>;tag=t1;y="q;,""#))
        #expect(quoted.displayName?.string == #"A "B" <c>, d"# && quoted.tag?.string == "t1")
        #expect(quoted.uri.has("x") && quoted.parameters["Y"]?.string == "q;," && quoted.parameters["x"] == nil)
        let tokens = try NameAddress(parsing: text("T. Watson <sip:t@h>"))
        #expect(tokens.displayName?.string == "T. Watson" && tokens.tag == nil)
        // Without brackets the parameters are the header's.
        let bare = try NameAddress(parsing: text("sip:a@h;tag=t2;lr"))
        #expect(bare.displayName == nil && bare.tag?.string == "t2" && !bare.uri.isLooseRouter)
        #expect(bare.uriText.string == "sip:a@h" && bare.parameters.contains("lr"))
    }

    @Test(arguments: [
        "", "<>", "<sip:a@h", "\"a\" sip:a@h", "a, b <sip:a@h>", "sip:a@h?x=y", "<sip:a@h> x", "\"a <sip:a@h>",
    ])
    func whatIsNoAddressIsRefused(_ string: String) {
        #expect(throws: SIPParseError.self) { try NameAddress(parsing: text(string)) }
    }

    @Test func contactsOfOutboundPhonesAreTakenApart() throws {
        let field = try ContactField(
            parsing: text(
                #"<sip:a@192.0.2.1;ob>;q=0.75;expires=600;+sip.instance="<urn:uuid:0-1>";reg-id=2"#))
        guard case .address(let address, let expires, let q, let instance, let regID) = field else {
            Issue.record("no address")
            return
        }
        #expect(address.uri.isOutbound && expires == 600 && q == 750 && instance == "urn:uuid:0-1" && regID == 2)
        guard case .star = try ContactField(parsing: text("*")) else {
            Issue.record("no star")
            return
        }
    }

    @Test(arguments: [
        ("q=1", 1000), ("q=0", 0), ("q=0.5", 500), ("q=1.", 1000), ("q=0.001", 1), ("q=1.000", 1000),
    ])
    func preferencesAreThousandths(_ parameter: String, _ wanted: UInt16) throws {
        guard case .address(_, _, let q, _, _) = try ContactField(parsing: text("<sip:a@h>;\(parameter)")) else {
            return
        }
        #expect(q == wanted)
    }

    @Test(arguments: ["q=2", "q=1.001", "q=0.0001", "q=x", "q=.5", "reg-id=0", "reg-id=x", "reg-id=2147483648"])
    func contactParametersOutOfRangeAreRefused(_ parameter: String) {
        #expect(throws: SIPParseError.self) { try ContactField(parsing: text("<sip:a@h>;\(parameter)")) }
    }

    /// RFC 3261 sections 20.10 and 20.19.
    @Test(
        arguments: [
            ("0", 0), ("3600", 3600), ("4294967295", 4_294_967_295), ("4294967296", 4_294_967_295), ("", 3600),
            ("-1", 3600), ("1h", 3600), (String(repeating: "9", count: 200), 4_294_967_295),
        ] as [(String, UInt32)])
    func malformedExpiresIsAnHour(_ string: String, _ seconds: UInt32) {
        #expect(Expires(parsing: text(string)).seconds == seconds)
    }

    @Test func maxForwardsIsAByte() throws {
        #expect(try MaxForwards(parsing: text("0070")).hops == 70)
        for string in ["", "256", "-1", "99999999999999999999999"] {
            #expect(throws: SIPParseError.self) { try MaxForwards(parsing: text(string)) }
        }
    }

    @Test func eventsAndMediaTypesAreTakenApart() throws {
        let event = try EventHeader(parsing: text("reg ; id=7;x"))
        #expect(event.package.string == "reg" && event.id?.string == "7")
        let range = try AcceptRange(parsing: text("Application/*;q=0.5"))
        #expect(range.includes("application", "reginfo+xml") && !range.includes("text", "plain"))
    }
}
