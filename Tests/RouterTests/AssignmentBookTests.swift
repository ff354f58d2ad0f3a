import ClusterRuntime
import MessagePack
import Testing

@testable import Router

struct AssignmentBookTests {
    /// A node gets as much as fits, and the rest when it has told that it has that.
    @Test func updatesOfLongNamesAreCutToFitAFrame() {
        let nodes = (0..<7).map { life("node\($0)" + String(repeating: "n", count: 55)) }
        let assignments = (1...3_000).map { number in
            assignment(
                "d\(number)." + String(repeating: "label.", count: 40) + "example", revision: UInt64(number),
                owner: nodes[0], standbys: nodes.dropFirst().map { standby($0) })
        }
        let book = AssignmentBook(StoredAssignments(revision: 3_000, assignments: assignments))
        var known: UInt64 = 0
        var received: [Assignment] = []
        while known < book.revision {
            let update = book.update(since: known, term: 1)
            var writer = MessagePackWriter()
            Message.assignments(update).encode(into: &writer)
            #expect(writer.count > Limits.listBytes / 2 || update.to == book.revision)
            #expect(writer.count < 2 * Limits.listBytes - Limits.frameOverhead)
            #expect(update.from == known && update.to > known)
            received += update.assignments
            known = update.to
        }
        #expect(received == assignments)
    }
}
