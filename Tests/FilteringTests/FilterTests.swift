import Filtering
import RegistrarEvents
import Testing

struct FilterTests {
    private let thing = Thing([
        .name: "desk é", .status: "online", .size: 42, .flag: true, .tags: ["a", "b"], .nested: "Ann",
    ])

    @Test(arguments: [
        (#"["==",["property","status"],"online"]"#, true), (#"["==","offline",["property","status"]]"#, false),
        (#"["!=",["property","status"],"online"]"#, false), (#"["!=",["property","status"],1]"#, true),
        (#"["==",["property","size"],42.0]"#, true), (#"["==",["property","size"],"42"]"#, false),
        (#"["==",["property","flag"],true]"#, true), (#"["==",["property","owner.name"],"Ann"]"#, true),
        (#"["<",["property","size"],43]"#, true), (#"["<",["property","size"],42]"#, false),
        (#"["<=",["property","size"],42]"#, true), (#"[">",["property","size"],41.5]"#, true),
        (#"[">=",["property","size"],42.5]"#, false), (#"[">","z",["property","status"]]"#, true),
        (#"["in",["property","status"],["away","online"]]"#, true), (#"["in",["property","status"],[]]"#, false),
        (#"["in",["property","size"],[1,42]]"#, true), (#"["in","a",["property","tags"]]"#, true),
        (#"["contains",["property","tags"],"b"]"#, true), (#"["contains",["property","tags"],"c"]"#, false),
        (#"["contains",["property","name"],"sk é"]"#, true), (#"["contains",["property","size"],4]"#, false),
        (#"["startswith",["property","name"],"desk"]"#, true), (#"["startswith",["property","name"],"esk"]"#, false),
        (#"["endswith",["property","name"],"é"]"#, true), (#"["endswith",["property","name"],"desk é long"]"#, false),
        (#"["and",["==",["property","flag"],true],["not",["<",["property","size"],42]]]"#, true),
        (#"["&&",true,false]"#, false), (#"["||",false,["!",false]]"#, true), (#"["or",false]"#, false),
        ("true", true), ("false", false),
    ])
    func operatorsDoWhatTheirNamesSay(_ text: String, _ expected: Bool) throws {
        #expect(try Filter(text).matches(thing) == expected)
    }

    /// They hold for other things, so nobody may take one for the other.
    @Test(arguments: ["contains", "startswith", "endswith"])
    func filtersThatOnlyLookTheSameAreTwo(_ name: String) throws {
        let filters = try ["\u{e9}", "e\u{301}"].map { try Filter(#"["\#(name)",["property","name"],"\#($0)"]"#) }
        #expect(filters[0] != filters[1])
        #expect(try filters[0] == Filter(#"["\#(name)",["property","name"],"\u00e9"]"#))
        #expect(filters.map { $0.matches(Thing([.name: "\u{e9}"])) } == [true, false])
    }

    @Test(arguments: [
        (#"["==",["property","name"],null]"#, true), (#"["!=",["property","name"],"x"]"#, true),
        (#"["<",["property","size"],1]"#, false), (#"[">=",["property","size"],1]"#, false),
        (#"["<=",null,null]"#, false), (#"["in",["property","name"],[null]]"#, true),
        (#"["contains",["property","tags"],"a"]"#, false), (#"["startswith",["property","name"],""]"#, false),
    ])
    func whatIsMissingIsNull(_ text: String, _ expected: Bool) throws {
        #expect(try Filter(text).matches(Thing([:])) == expected)
    }

    @Test(arguments: [
        (#""x""#, #"`f`: expected a condition: an array that begins with an operator, found "x""#),
        ("[]", "`f`: expected a condition: an array that begins with an operator, found []"),
        (#"["and"]"#, #"`f`: expected at least one condition after the operator, found ["and"]"#),
        (#"["not",true,false]"#, #"`f`: expected one operand, found ["not",true,false]"#),
        (#"["==",1]"#, #"`f`: expected 2 operands, found ["==",1]"#),
        (
            #"["and",true,["==",["property","status"],["x"]]]"#,
            #"`f[2][2]`: expected a constant or ["property",NAME], found ["x"]"#
        ),
        (#"["==",{"a":1},1]"#, #"`f[1]`: expected a constant: text, number, true, false or null, found {"a":1}"#),
        (#"["in",1,2]"#, #"`f[2]`: expected a list of constants or ["property",NAME], found 2"#),
        (#"["in",1,[2,[3]]]"#, "`f[2][1]`: expected a constant: text, number, true, false or null, found [3]"),
        (
            #"["or",["==",["property","state"],1]]"#,
            #"`f[1][1][1]`: expected one of `name`, `status`, `size`, `flag`, `tags`, `owner.name`, found "state""#
        ),
    ])
    func mistakesAreToldWithTheirPlace(_ text: String, _ message: String) throws {
        let error = try #require(throws: FilterError.self) { try Filter(text) }
        #expect(error.message(for: "f") == message)
    }

    @Test func unknownOperatorsAreToldWithThoseThereAre() throws {
        let error = try #require(throws: FilterError.self) { try Filter(#"["not",["=~",1,2]]"#) }
        #expect(error.place == [1, 0])
        #expect(error.expected.contains("`startswith`"))
        #expect(error.found == #""=~""#)
    }

    @Test func sizeIsBounded() throws {
        func nested(_ depth: Int) -> JSONValue { depth == 0 ? true : ["not", nested(depth - 1)] }
        _ = try Filter<Thing.Property>(nested(FilterLimits.maximumDepth))
        let tooDeep = #expect(throws: FilterError.self) {
            try Filter<Thing.Property>(nested(FilterLimits.maximumDepth + 1))
        }
        #expect(tooDeep?.place.count == FilterLimits.maximumDepth)

        func wide(_ count: Int) -> JSONValue { .array(["or"] + Array(repeating: ["==", 1, 2], count: count)) }
        _ = try Filter<Thing.Property>(wide(FilterLimits.maximumConditions - 1))
        #expect(throws: FilterError.self) { try Filter<Thing.Property>(wide(FilterLimits.maximumConditions)) }

        func list(_ count: Int64) -> JSONValue {
            ["in", ["property", "size"], .array((0..<count).map { .integer($0) })]
        }
        _ = try Filter<Thing.Property>(list(Int64(FilterLimits.maximumConstants)))
        #expect(throws: FilterError.self) { try Filter<Thing.Property>(list(Int64(FilterLimits.maximumConstants) + 1)) }
    }

    @Test func whatIsGivenBackIsCutShort() throws {
        let long = String(repeating: "x", count: 500)
        let error = try #require(throws: FilterError.self) { try Filter(#"["\#(long)"]"#) }
        #expect(error.found.count <= 61)
    }

    @Test func equalFiltersAreEqual() throws {
        let text = #"["and",["in",["property","size"],[1,2,3]],["!=",["property","name"],"x"]]"#
        #expect(try Filter(text) == Filter(text))
        #expect(try Set([Filter(text), Filter(text)]).count == 1)
        #expect(try Filter("true") != Filter("false"))
        #expect(try Filter(#"["not",["==",1,2]]"#) != Filter(#"["==",1,2]"#))
    }
}
