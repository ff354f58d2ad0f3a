import Filtering
import RegistrarEvents
import Testing

struct ListSelectionTests {
    private typealias Query = ListQuery<Thing.Property>

    /// The same as when everything is at hand.
    @Test(arguments: [
        [:], ["offset": "18"], ["offset": "3", "limit": "4"], ["order": "-size,name", "limit": "3"],
        ["order": "flag", "offset": "5", "limit": "7"], ["order": "-name", "offset": "200"],
        ["filter": #"["==",["property","flag"],true]"#, "order": "-name", "offset": "1", "limit": "2"],
        ["filter": #"["==",["property","flag"],true]"#, "offset": "1", "limit": "2"],
    ])
    func whatIsGatheredIsWhatTheQuerySelects(_ parameters: [String: String]) throws {
        let things = (0..<100).map { (number: Int) -> Thing in
            let size = Int64(number * 37 % 100 / 2)
            return Thing([
                .name: .string("t\(number)"), .size: .integer(size), .flag: .boolean(number % 3 == 0),
            ])
        }
        let query = try Query { parameters[$0] }
        var selection = try ListSelection<Thing>(query)
        for thing in things where !selection.take(thing) { break }
        #expect(selection.result.map { $0.values } == query.select(from: things).map { $0.values })
    }

    @Test func nothingIsTakenBeyondTheLastOneAskedFor() throws {
        var selection = try ListSelection<Thing>(try Query { ["offset": "2", "limit": "3"][$0] })
        var taken = 0
        repeat { taken += 1 } while selection.take(Thing([.size: .integer(Int64(taken))]))
        #expect(taken == 5)
        #expect(selection.result.map { $0.value(of: .size) } == [3, 4, 5])
    }

    @Test func orderIsRefusedForMoreThanMayBeHeld() throws {
        _ = try ListSelection<Thing>(try Query { ["order": "name", "offset": "99000"][$0] })
        _ = try ListSelection<Thing>(try Query { ["offset": "2000000"][$0] })
        #expect(throws: Query.Fault.self) {
            try ListSelection<Thing>(try Query { ["order": "name", "offset": "99001"][$0] })
        }
    }
}
