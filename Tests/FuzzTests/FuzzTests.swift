import Foundation
import Testing

/// The fuzz targets, driven for a bounded number of inputs by a mutator that knows nothing of coverage. `make fuzz` has
/// libFuzzer drive the same targets.
///
/// `ROLLCALL_FUZZ_SEED` and `ROLLCALL_FUZZ_INPUTS` ask for other inputs, and for more. Should the process end in the
/// middle, `.build/fuzz` has the last input of the target.
@Suite(.serialized) struct FuzzTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let seed = environment["ROLLCALL_FUZZ_SEED"].flatMap(UInt64.init) ?? 1
    private static let inputs = environment["ROLLCALL_FUZZ_INPUTS"].flatMap(Int.init) ?? 3_000

    @Test(arguments: FuzzTarget.all) func everyInputKeepsThePromises(_ target: FuzzTarget) async throws {
        let known = try Corpus.beginning(of: target)
        #expect(!known.isEmpty, "nothing to begin with")
        let note = try InputNote(target.name)
        for input in known { try await check(target, input, note) }
        var mutator = Mutator(seed: Self.seed, words: target.words, maximumLength: target.maximumLength)
        for _ in 0..<Self.inputs { try await check(target, mutator.input(from: known), note) }
        note.remove()
        ScratchFile.removeAll()
    }

    private func check(_ target: FuzzTarget, _ input: [UInt8], _ note: InputNote) async throws {
        note.write(input)
        do {
            try await target.run(input)
        } catch {
            Issue.record("\(target.name): \(error)\ninput (base64): \(Data(input).base64EncodedString())")
        }
    }

    /// Without this a green run would prove nothing of the mutator.
    @Test func aPlantedBugIsFound() async throws {
        let target = FuzzTarget("planted", words: ["subscribe"]) { input in
            let text = String(decoding: input, as: UTF8.self)
            try promise(!(text.hasPrefix("[") && text.contains("subscribe\"\"")), "found")
        }
        let known = [Array(#"["subscribe",{"qid":1}]"#.utf8)]
        var mutator = Mutator(seed: Self.seed, words: target.words, maximumLength: target.maximumLength)
        await #expect(throws: Broken.self) {
            for _ in 0..<20_000 { try await target.run(mutator.input(from: known)) }
        }
    }

    @Test func keptInputsAreOfATargetAndSmall() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: "\(Fixtures.root)/Tests/FuzzTests/Corpus")
        let targets = Set(FuzzTarget.all.map { "\($0.name).txt" })
        #expect(targets.count == FuzzTarget.all.count, "two targets of one name")
        for name in names.sorted() where name != "README.md" {
            #expect(targets.contains(name), "of no target: \(name)")
        }
        for target in FuzzTarget.all {
            let size = try Corpus.inputs(of: target).reduce(0) { $0 + $1.count }
            #expect(size <= 256 << 10, "\(target.name): \(size) bytes of kept inputs")
        }
    }
}

extension FuzzTarget: CustomTestStringConvertible {
    package var testDescription: String { name }
}

/// The input under way, where it outlives the process.
private struct InputNote {
    private let path: String
    private let descriptor: Int32

    init(_ name: String) throws {
        let directory = "\(Fixtures.root)/.build/fuzz"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        path = "\(directory)/\(name).input"
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0, "cannot open \(path)")
    }

    func write(_ input: [UInt8]) {
        _ = input.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
        _ = ftruncate(descriptor, off_t(input.count))
    }

    func remove() {
        close(descriptor)
        unlink(path)
    }
}
