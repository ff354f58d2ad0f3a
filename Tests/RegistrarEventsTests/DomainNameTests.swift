import RegistrarEvents
import Testing

struct DomainNameTests {
    @Test(arguments: [
        ("demo.example", "demo.example"), ("Demo.EXAMPLE", "demo.example"), ("a", "a"),
        ("_sip.x-1.example", "_sip.x-1.example"),
    ]) func namesAreNormalised(text: String, normal: String) {
        #expect(DomainName(text)?.rawValue == normal)
    }

    @Test(arguments: [
        "", ".", "a..b", ".a", "a.", "-a.example", "a-.example", "a b", "ä.example", "a/b", "\0",
        String(repeating: "a", count: 64), Array(repeating: "abcdefg", count: 32).joined(separator: "."),
    ]) func whatIsNoNameIsRefused(text: String) {
        #expect(DomainName(text) == nil)
    }

    @Test func theLongestNamesAreTaken() {
        let label = String(repeating: "a", count: 63)
        #expect(DomainName(label) != nil)
        let longest = [label, label, label, String(repeating: "b", count: 61)].joined(separator: ".")
        #expect(longest.utf8.count == 253)
        #expect(DomainName(longest) != nil)
        #expect(DomainName(longest + "b") == nil)
    }
}
