import ClusterRuntime
import Foundation
import Testing

/// Files that are no topologies, by accident or malice.
@Suite struct TopologyBytesTests {
    @Test func aMissingFileIsTold() {
        #expect(throws: TopologyError.self) { try Topology.load(path: "/nowhere/t.yaml") }
    }

    @Test func aDirectoryIsToldAndNotRead() throws {
        let error = #expect(throws: TopologyError.self) { try Topology.load(path: "/tmp") }
        #expect(error?.problems.map(\.wrong) == ["/tmp is not a regular file"])
    }

    @Test func bytesThatAreNotUTF8AreTold() async throws {
        try await TopologyFixture.withDirectory { directory in
            let path = directory + "/t.yaml"
            try Data([0x63, 0xff, 0xfe]).write(to: URL(fileURLWithPath: path))
            let error = #expect(throws: TopologyError.self) { try Topology.load(path: path) }
            #expect(error?.problems.map(\.wrong) == ["the file is not UTF-8"])
        }
    }

    @Test func aFileOverTheLimitIsTold() async throws {
        try await TopologyFixture.withDirectory { directory in
            let path = directory + "/t.yaml"
            try Data(repeating: 0x23, count: Topology.maximumFileSize + 1).write(
                to: URL(fileURLWithPath: path))
            let error = #expect(throws: TopologyError.self) { try Topology.load(path: path) }
            #expect(error?.problems.map(\.expected) == ["at most 4MiB"])
        }
    }

    @Test(arguments: [
        "", "# nothing", "42", "- a", "{", "a: [", "\tx: 1", "a: 'b", "%YAML 9.9\n---\na", "a: 1\n--- \nb: 2",
    ])
    func whatIsNotAMappingIsTold(_ text: String) {
        #expect(!TopologyFixture.problems(in: text).isEmpty)
    }

    @Test func anchorsAreRefused() {
        let text = TopologyFixture.replacing("address: 127.0.0.1", "address: &here 127.0.0.1")
        #expect(
            TopologyFixture.problems(in: text) == [
                "t.yaml:11: YAML anchor `&here`; expected the value written out, without anchors and aliases"
            ])
    }

    @Test(.timeLimit(.minutes(1)))
    func aBombOfAliasesIsRefusedAtOnce() {
        var text = "a0: &a0 [x, x]\n"
        for level in 1...40 { text += "a\(level): &a\(level) [*a\(level - 1), *a\(level - 1)]\n" }
        #expect(!TopologyFixture.problems(in: text).isEmpty)
        #expect(!TopologyFixture.problems(in: text + "? *a40\n: x\n").isEmpty)
        // Within the number of aliases that gets as far as the parser.
        let short = text.split(separator: "\n").prefix(8).joined(separator: "\n") + "\n? *a7\n: x\n"
        #expect(!TopologyFixture.problems(in: short).isEmpty)
    }

    /// None of these is an alias, and all of them are in use.
    @Test func asterisksAmidTextsAreNoAliases() {
        for text in [
            #"["*.a.example", '*.b.example']"#, "[registrarevents.*, registrarevents.*]", "# * a bullet", "#** bold",
            "a: 2 * 3",
        ] { #expect(YAMLAliases.lineOfTooMany(in: String(repeating: text + "\n", count: 40)) == nil, "\(text)") }
        for text in ["- *a", "*a : x", "[*a,*a]", "{a: *a}", "? *a", "a: *_", "# *a"] {
            #expect(YAMLAliases.lineOfTooMany(in: String(repeating: text + "\n", count: 40)) != nil, "\(text)")
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func deepNestingIsRefused() {
        for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", "")] {
            let text = String(repeating: open, count: 100_000) + String(repeating: close, count: 100_000)
            #expect(!TopologyFixture.problems(in: text).isEmpty)
        }
    }

    @Test func aThousandMistakesDoNotPrintABook() {
        let text = (1...1000).map { "key\($0): 1" }.joined(separator: "\n")
        let problems = TopologyFixture.problems(in: text)
        #expect(problems.count < 250)
        #expect(problems.last?.contains("more problems are not shown") == true)
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func spoiltBytesNeverCrashTheReader(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let original = Array(TopologyFixture.text.utf8)
        for _ in 0..<250 {
            var bytes = original
            for _ in 0...Int(random.next() % 6) {
                let at = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 3 {
                case 0: bytes[at] = Array("{}[]:,-?&*!|>'\"%@`#\n\t \u{7f}x0".utf8)[Int(random.next() % 25)]
                case 1: bytes.remove(at: at)
                default: bytes.insert(contentsOf: bytes[at..<min(at + 40, bytes.count)], at: at)
                }
            }
            // Either a topology or a list of problems with lines; `TopologyError` insists that it is not
            // empty.
            for problem in TopologyFixture.problems(in: String(decoding: bytes, as: UTF8.self)) {
                #expect(problem.hasPrefix("t.yaml:"))
            }
        }
    }
}
