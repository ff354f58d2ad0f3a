import Filtering
import RegistrarEvents
import Testing

struct ListQueryTests {
    private typealias Query = ListQuery<Thing.Property>
    private let things = (0..<20).map { number in
        Thing([.name: .string("t\(number)"), .size: .integer(Int64(number / 2)), .flag: .boolean(number % 3 == 0)])
    }

    private func names(_ parameters: [String: String]) throws -> [String] {
        try Query { parameters[$0] }.select(from: things).compactMap { $0.value(of: .name).text }
    }

    @Test func filterOrderOffsetAndLimitWorkTogether() throws {
        #expect(try names([:]).count == 20)
        #expect(try names(["offset": "18"]) == ["t18", "t19"])
        #expect(try names(["offset": "1", "limit": "2"]) == ["t1", "t2"])
        #expect(try names(["order": "-size,name", "limit": "3"]) == ["t18", "t19", "t16"])
        #expect(try names(["order": #"["size","-name"]"#, "limit": "3"]) == ["t1", "t0", "t3"])
        #expect(
            try names(["filter": #"["==",["property","flag"],true]"#, "order": "-name", "offset": "1", "limit": "2"])
                == ["t6", "t3"])
        #expect(try names(["offset": "100"]) == [])
    }

    @Test func orderIsStableAndTotal() throws {
        let mixed: [JSONValue] = ["b", 2, .null, ["x"], true, .number(1.5), "a", false]
        let order = try Order<Thing.Property>("size")
        let sorted = order.sorted(mixed.map { Thing([.size: $0]) }).map { $0.value(of: .size) }
        #expect(sorted == [.null, false, true, .number(1.5), 2, "a", "b", ["x"]])
        let alike = try Order<Thing.Property>("-flag").sorted(things).compactMap { $0.value(of: .name).text }
        #expect(alike.prefix(3) == ["t0", "t3", "t6"] && alike.last == "t19")
    }

    @Test func maskKeepsWhatItNames() throws {
        func members(_ mask: String) throws -> String {
            var json = JSONWriter()
            let query = try Query { $0 == "mask" ? mask : nil }
            json.members(of: things[4], keeping: query.mask)
            return String(decoding: json.bytes, as: UTF8.self)
        }
        #expect(try members("size,name") == #""name":"t4","size":2"#)
        #expect(try members(#"["flag"]"#) == #""flag":false"#)
        #expect(try members("status") == "")
        var json = JSONWriter()
        json.members(of: things[4], keeping: nil)
        #expect(String(decoding: json.bytes, as: UTF8.self) == #""name":"t4","size":2,"flag":false"#)
    }

    @Test(arguments: [
        ("filter", "x", "`filter` is not JSON"), ("filter", "[\"==\",1]", "`filter`: expected 2 operands"),
        ("filter", String(repeating: "[", count: 100), "`filter` is nested deeper than"),
        ("mask", "name,", "`mask[1]`: expected one of `name`"), ("mask", "[1]", "`mask[0]`: expected a name, found 1"),
        ("mask", "[]", "`mask`: expected 1 to 64 names"), ("order", "-what", "`order[0]`: expected one of"),
        ("offset", "-1", "`offset` must be a whole number"), ("limit", "0", "`limit` must be a whole number from 1"),
        ("limit", "10001", "`limit` must be"), ("limit", "x", "`limit` must be"),
    ])
    func mistakesNameTheParameter(_ name: String, _ text: String, _ beginning: String) throws {
        let fault = try #require(throws: Query.Fault.self) { try Query { $0 == name ? text : nil } }
        #expect(fault.message.hasPrefix(beginning), "\(fault.message)")
    }
}
