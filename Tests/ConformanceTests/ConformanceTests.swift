import Conformance
import RegistrarEvents
import Testing

@Suite struct ConformanceTests {
    @Test func theRecordingIsReadAsItIsWritten() throws {
        let lines = Recording.nasty.lines
        let read = try Recording(parsing: lines.joined(separator: "\n"))
        #expect(read.steps == Recording.nasty.steps)
        #expect(lines == read.lines)
    }

    @Test(
        arguments: [
            ("[", "2: expected a line of JSON; it is not JSON"), (#"{"a":1}"#, #"2: expected ["method", {…}]"#),
            (
                #"["expect",{"name":"x"}]"#,
                "2: expected name, domain, position {epoch, seq}, and perhaps whole and contacts"
            ),
        ])
    func aBrokenRecordingIsRefusedWithItsLine(_ line: String, problem: String) {
        #expect(throws: Recording.Malformed.self) { try Recording(parsing: "\n" + line) }
        do throws(Recording.Malformed) {
            _ = try Recording(parsing: "\n" + line)
        } catch {
            #expect(error.description == problem)
        }
    }

    /// Two contacts whose names look alike, one of them with something to hold.
    private static let expected = Recording.Expectation(
        name: "two", domain: "demo.example", position: Position(epoch: 2, seq: 7), isWhole: true,
        contacts: [
            ["kind": "sipuser", "account": "zo\u{eb}", "contact_id": "desk", "cseq": 2],
            ["kind": "sipuser", "account": "zoe\u{308}", "contact_id": "desk", "cseq": 1],
        ])

    private static func answer(_ changes: [String: JSONValue] = [:]) -> [String: JSONValue] {
        let whole: [String: JSONValue] = [
            "position": .object(["epoch": 2, "seq": 7]), "whole": true,
            "contacts": .array((expected.contacts ?? []).map(JSONValue.object)),
        ]
        return whole.merging(changes) { $1 }
    }

    @Test func theOwnersListPassesWithOrWithoutWhatMayBeLeftOut() {
        #expect(Verdict(on: Self.answer(), expected: Self.expected).findings == [])
        let bare: [JSONValue] = ["zo\u{eb}", "zoe\u{308}"].map {
            .object(["kind": "sipuser", "account": .string($0), "contact_id": "desk", "own": true])
        }
        #expect(Verdict(on: ["contacts": .array(bare)], expected: Self.expected).findings == [])
    }

    @Test func eachDifferenceIsNamed() {
        func findings(_ changes: [String: JSONValue]) -> [String] {
            Verdict(on: Self.answer(changes), expected: Self.expected).findings
        }
        let first: JSONValue = .object(["kind": "sipuser", "account": "zo\u{eb}", "contact_id": "desk", "cseq": 1])
        let other: JSONValue = .object(["kind": "user", "account": "zo\u{eb}", "contact_id": "desk"])
        #expect(findings(["position": .object(["epoch": 2, "seq": 6])]) == ["stands at 2:6, expected 2:7"])
        #expect(findings(["position": "2:7"]) == ["stands at no position, expected 2:7"])
        #expect(findings(["whole": false]) == ["thinks that something is missing"])
        #expect(findings(["contacts": .null]) == ["answers without an array `contacts`"])
        #expect(
            findings(["contacts": [first, first, other, 1]]) == [
                "lists sipuser \"zo\u{eb}\" \"desk\" twice",
                "lists something without kind, account and contact_id",
                "holds another `cseq` of sipuser \"zo\u{eb}\" \"desk\"",
                "lacks sipuser \"zoe\u{308}\" \"desk\"",
                "holds user \"zo\u{eb}\" \"desk\", which should not be there",
            ])
    }

    @Test func aConsumerThatSaysNothingOrEndsIsNoConsumer() throws {
        func play(_ command: String...) throws {
            try ConformanceRun(.nasty, patience: .milliseconds(200)).play(to: command) { _ in }
        }
        #expect(throws: ConformanceRun.Failure.broken("neither reads nor answers", after: 0)) {
            try play("sleep", "3600")
        }
        #expect(throws: ConformanceRun.Failure.broken("ended with 3", after: 0)) { try play("sh", "-c", "exit 3") }
        #expect(throws: ConformanceRun.Failure.self) { try play("no-such-program") }
        var verdicts: [Verdict] = []
        try ConformanceRun(.nasty, patience: .seconds(60)).play(to: ["cat"]) { verdicts.append($0) }
        #expect(verdicts.count > 20 && verdicts.allSatisfy { !$0.isGood })
    }
}
