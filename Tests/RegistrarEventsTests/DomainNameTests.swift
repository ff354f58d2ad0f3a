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
        "\u{212A}elvin.example", "demo\u{3002}example", "demo.example\u{200B}", "ＡＢ.example",
        String(repeating: "a", count: 64), Array(repeating: "abcdefg", count: 32).joined(separator: "."),
    ]) func whatIsNoNameIsRefused(text: String) {
        #expect(DomainName(text) == nil)
    }

    @Test func aDomainBringsWhatIsBeneathIt() throws {
        let example = try #require(DomainName("example"))
        for text in ["example", "a.example", "b.a.example"] {
            #expect(try #require(DomainName(text)).isWithin(example))
        }
        for text in ["an-example", "example.a", "xexample", "exampl"] {
            #expect(try #require(DomainName(text)).isWithin(example) == false)
        }
        #expect(try #require(DomainName("a.example")).isWithin(try #require(DomainName("b.example"))) == false)
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
