import Foundation
import RegistrarEvents
import Testing

struct JSONValueTests {
    private func parse(_ text: String, depth: Int = 16) throws -> JSONValue {
        try JSONValue(parsing: text.utf8, maximumDepth: depth)
    }

    @Test func everyKindIsReadAndWritten() throws {
        let text = #"{"a":[null,true,false,-7,1.5,"\"é\n",[],{}],"b":9223372036854775807}"#
        let value = try parse(text)
        #expect(value.object?["a"]?.array?.count == 8)
        #expect(value.object?["b"]?.integer == .max)
        var json = JSONWriter()
        json.value(value)
        #expect(String(decoding: json.bytes, as: UTF8.self) == text)
        #expect(try JSONDecoder().decode(JSONValue.self, from: JSONEncoder().encode(value)) == value)
    }

    @Test func wholeNumbersAreIntegersHoweverTheyAreWritten() throws {
        #expect(try parse("[1,1.0,1e2,1.25,1e300]") == [1, 1, 100, .number(1.25), .number(1e300)])
    }

    @Test(arguments: ["", "{", "{'a':1}", "nul", "[1] 2", "\u{feff}[", "[\"\\x\"]"])
    func whatIsNotJSONIsRefused(_ text: String) {
        #expect(throws: JSONError.malformed) { try parse(text) }
    }

    /// The decoder reads them, but would find other strings in them, and so other values, than were counted.
    @Test func onlyUTF8IsJSON() {
        let hidden = "[\"\u{2261}\",\(String(repeating: "[", count: 40))1\(String(repeating: "]", count: 40))]"
        for text in ["[1,2]", "1", "\u{feff}[1]", hidden] {
            for encoding in [
                String.Encoding.utf16LittleEndian, .utf16BigEndian, .utf16, .utf32LittleEndian, .utf32BigEndian, .utf32,
            ] {
                let bytes = text.data(using: encoding) ?? Data()
                #expect(throws: JSONError.malformed) { try JSONValue(parsing: bytes, maximumDepth: 16) }
            }
        }
        #expect(throws: JSONError.malformed) { try parse("[\"\0\"]") }
        #expect(throws: JSONError.malformed) { try parse("[1]\0") }
    }

    @Test func valuesAreCountedBeforeTheyAreParsed() throws {
        func parse(_ text: String, _ maximum: Int) throws -> JSONValue {
            try JSONValue(parsing: text.utf8, maximumDepth: 16, maximumValues: maximum)
        }
        #expect(try parse(#"["[,,,{",1,2]"#, 11).array?.count == 3)
        #expect(throws: JSONError.tooLong(maximum: 10)) { try parse("[1,2,3]", 10) }
        #expect(throws: JSONError.tooLong(maximum: 100)) { try parse(String(repeating: "{},", count: 1_000_000), 100) }
    }

    @Test func nestingIsBoundedBeforeItIsParsed() throws {
        _ = try parse(#"[["[[[["]]"#, depth: 2)
        #expect(throws: JSONError.tooDeep(maximum: 2)) { try parse("[[[]]]", depth: 2) }
        #expect(throws: JSONError.tooDeep(maximum: 16)) { try parse(String(repeating: "[", count: 1_000_000)) }
    }
}
