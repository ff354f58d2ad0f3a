import Testing

@testable import ClusterRuntime

@Suite struct DirectoryRangeTests {
    /// Every name of a range, written out the slow way.
    private func names(_ text: String) throws -> [String] {
        let range = try #require(AccountRange(text))
        return range.numbers.map { number in
            let digits = String(number)
            return range.prefix + String(repeating: "0", count: max(0, (range.width ?? 0) - digits.count))
                + digits
        }
    }

    @Test(arguments: ["u1..u100", "1001..1100", "u001..u120", "a.b-7..a.b-7", "u8..u11", "0..10"])
    func aRangeHoldsItsNamesAndNoOthers(_ text: String) throws {
        let range = try #require(AccountRange(text))
        let names = try Set(names(text))
        #expect(range.count == names.count)
        #expect(range.description == text)
        for number in 0...1200 {
            for candidate in [
                "\(range.prefix)\(number)", "\(range.prefix)0\(number)", "\(range.prefix)00\(number)",
                "x\(number)",
            ] {
                #expect(range.contains(candidate) == names.contains(candidate), "\(candidate)")
            }
        }
    }

    @Test(arguments: [
        "", "u1", "u1..", "..u1", "u1..v2", "u9..u1", "u01..u100", "a..b", "u1..u2..u3", "u1..u9999999",
        "u1..u99999999999999999999",
    ])
    func whatIsNotARangeIsRefused(_ text: String) {
        #expect(AccountRange(text) == nil)
    }

    @Test func rangesOverlapExactlyWhenTheyShareAName() throws {
        let texts = [
            "u1..u9", "u1..u100", "u01..u50", "u001..u050", "u050..u200", "u5..u200", "u10..u99", "u10..u10",
            "v1..v100", "1..100", "u101..u120",
        ]
        for left in texts {
            for right in texts {
                let shared = try !Set(names(left)).isDisjoint(with: names(right))
                let ranges = try (#require(AccountRange(left)), #require(AccountRange(right)))
                #expect(ranges.0.overlaps(ranges.1) == shared, "\(left) and \(right)")
            }
        }
    }

    @Test(arguments: ["u1..u12", "u08..u11", "7..7"])
    func takingANameOutLeavesAllOthers(_ text: String) throws {
        let range = try #require(AccountRange(text))
        for name in try names(text) {
            // As text and back, for that is how the rest is kept.
            let rest = range.removing(name).map(\.description)
            #expect(try rest.flatMap(names) == names(text).filter { $0 != name })
        }
        #expect(range.removing("other") == [range])
    }
}
