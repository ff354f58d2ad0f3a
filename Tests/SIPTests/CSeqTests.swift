import SIP
import Testing

@Suite struct CSeqTests {
    @Test func numbersOfMoreThan32BitsAreRefused() throws {
        #expect(try CSeq(parsing: SIPText("4294967295 REGISTER")).number == .max)
        #expect(throws: SIPParseError.self) { try CSeq(parsing: SIPText("4294967296 REGISTER")) }
        #expect(throws: SIPParseError.self) { try CSeq(parsing: SIPText("36893488147419103232 REGISTER")) }
    }

    @Test func methodsAreCaseSensitive() throws {
        #expect(try CSeq(parsing: SIPText("0009   INVITE")) == CSeq(number: 9, method: .invite))
        #expect(try CSeq(parsing: SIPText("9 invite")).method == .other("invite"))
    }

    @Test(arguments: ["", "1", "1 ", "REGISTER", "1REGISTER", "1 REGISTER x", "-1 REGISTER"])
    func whatIsNoNumberAndMethodIsRefused(_ text: String) {
        #expect(throws: SIPParseError.self) { try CSeq(parsing: SIPText(text)) }
    }
}
