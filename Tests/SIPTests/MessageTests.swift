import SIP
import Testing

@Suite struct MessageTests {
    private func parse(_ text: String, limits: SIPLimits = SIPLimits()) throws(SIPParseError) -> SIPMessage {
        try SIPMessage.parse([UInt8](text.utf8), limits: limits)
    }

    @Test func listsAreSplitAndOthersAreNot() throws {
        let message = try parse(
            """
            REGISTER sip:h SIP/2.0\r
            m: "a,b" <sip:a@h,x>;q=1 , <sip:b@h>\r
            Contact: <sip:c@h>\r
            Supported:\r
            Authorization: Digest a=b, c=d\r
            Date: Thu, 26 Nov 2026 10:00:00 GMT\r
            \r\n
            """)
        #expect(message.all(.contact).map(\.string) == [#""a,b" <sip:a@h,x>;q=1"#, "<sip:b@h>", "<sip:c@h>"])
        #expect(message.first(.contact)?.string == #""a,b" <sip:a@h,x>;q=1"#)
        #expect(message.all(.supported).isEmpty && message.has(.supported))
        #expect(message.first(.authorization)?.string == "Digest a=b, c=d")
        #expect(message.first(.date)?.string == "Thu, 26 Nov 2026 10:00:00 GMT")
    }

    @Test func everyNameIsFoundInAnyCaseAndByItsCompactForm() {
        for header in HeaderName.allCases where header != .other {
            let name = "\(header.name)"
            #expect(HeaderName(SIPText(name)) == header && HeaderName(SIPText(name.uppercased())) == header)
            #expect(HeaderName(SIPText(name + "x")) == .other && HeaderName(SIPText("x" + name.dropFirst())) == .other)
        }
        let compact: [(String, HeaderName)] = [
            ("v", .via), ("F", .from), ("t", .to), ("i", .callID), ("m", .contact), ("l", .contentLength),
            ("c", .contentType), ("e", .contentEncoding), ("k", .supported), ("s", .subject), ("o", .event),
            ("u", .allowEvents), ("r", .referTo), ("b", .referredBy), ("x", .sessionExpires), ("z", .other),
        ]
        for (name, header) in compact { #expect(HeaderName(SIPText(name)) == header) }
    }

    @Test func surplusBehindTheBodyIsCutAndWhatLacksIsAnError() throws {
        let head = "MESSAGE sip:h SIP/2.0\r\n"
        #expect(try parse(head + "l: 2\r\n\r\nabcd").body.string == "ab")
        #expect(try parse(head + "\r\nabcd").body.string == "abcd")
        for bad in [
            "l: 5\r\n\r\nabcd", "l: -1\r\n\r\n", "l: x\r\n\r\n", "l: 0\r\nl: 0\r\n\r\n",
            "l: 99999999999999999999\r\n\r\n",
        ] {
            #expect(throws: SIPParseError.self) { try parse(head + bad) }
        }
    }

    @Test(arguments: [
        "", "\r\n", "\r\n\r\n", "REGISTER", "REGISTER sip:h", "REGISTER sip:h SIP/2.0", "REGISTER sip:h SIP/2.0\r\n",
        "REGISTER sip:h SIP/2.0\n\n", "REGISTER  sip:h SIP/2.0\r\n\r\n", "REGISTER sip:h SIP/2.0 \r\n\r\n",
        "REGISTER sip:h HTTP/1.1\r\n\r\n", "SIP/2.0 99 x\r\n\r\n", "SIP/2.0 700 x\r\n\r\n", "SIP/2.0 200\r\n\r\n",
        "R sip:h SIP/2.0\r\nVia\r\n\r\n", "R sip:h SIP/2.0\r\n: x\r\n\r\n", "R sip:h SIP/2.0\r\n folded\r\n\r\n",
        "R sip:h SIP/2.0\r\nVia: a\rb\r\n\r\n", "R sip:h SIP/2.0\r\nVia: a\nb: c\r\n\r\n",
        "R sip:h SIP/2.0\r\nVia: a\u{0}b\r\n\r\n", "R sip:h SIP/2.0\r\nVia: a\r\n",
    ])
    func whatIsNoMessageIsRefused(_ text: String) {
        #expect(throws: SIPParseError.self) { try parse(text) }
    }

    @Test func anotherVersionIs505() {
        #expect {
            try parse("OPTIONS sip:h SIP/3.0\r\n\r\n")
        } throws: { ($0 as? SIPParseError)?.status == 505 }
    }

    @Test func eachLimitIsRefusedWhereItIsPassed() throws {
        let limits = SIPLimits(messageBytes: 200, headers: 3, headerLineBytes: 40)
        let start = "REGISTER sip:h SIP/2.0\r\n"
        let value = String(repeating: "a", count: 37)
        #expect(try parse(start + "a:b\r\na:b\r\na:b\r\n\r\n", limits: limits).headerCount == 3)
        #expect(try parse(start + "a: \(value)\r\n\r\n", limits: limits).headerCount == 1)
        let over = [
            start + "a:b\r\na:b\r\na:b\r\na:b\r\n\r\n", start + "a: a\(value)\r\n\r\n",
            start + "a: a\r\n \(value)\r\n\r\n", start + "\r\n" + String(repeating: "a", count: 200),
        ]
        for text in over {
            #expect {
                try parse(text, limits: limits)
            } throws: { ($0 as? SIPParseError)?.status == 513 }
        }
    }

    @Test func continuedLinesReadAsOne() throws {
        let message = try parse("REGISTER sip:h SIP/2.0\r\nSubject: a\r\n\tb\r\n c\r\n\r\n")
        #expect(message.first(.subject)?.string == "a  \tb   c")
    }

    @Test func errorsSayWhatWasExpectedAndWhere() {
        let text = "REGISTER sip:h SIP/2.0\r\nVia@ x\r\n\r\n"
        #expect {
            try parse(text)
        } throws: {
            $0 as? SIPParseError
                == SIPParseError(
                    expected: "a colon after a header field's name", found: .byte(UInt8(ascii: "@")), offset: 27)
        }
    }

    @Test func anAnswerCanBeWrittenToWhatCannotBeRead() throws {
        let text = """
            REGISTER  sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=b\r\nbroken\r\nf: <sip:a@h>;tag=1\r
            To: sip:a@h\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\nContent-Length: 9
            """
        let request = try #require(SIPMessage.salvage([UInt8](text.utf8)))
        #expect(request.method == .register && request.headerCount == 5)
        let answer = try parse(
            String(decoding: ResponseWriter(400, to: request, toTag: "t").finish(), as: UTF8.self))
        #expect(answer.first(.to)?.string == "sip:a@h;tag=t" && answer.first(.cseq)?.string == "1 REGISTER")
        // Nobody answers a response, or a request without what the answer repeats.
        #expect(
            SIPMessage.salvage([UInt8](text.replacing("REGISTER  sip:h SIP/2.0", with: "SIP/2.0 999 x").utf8)) == nil)
        #expect(SIPMessage.salvage([UInt8](text.replacing("Call-ID", with: "X").utf8)) == nil)
    }
}
