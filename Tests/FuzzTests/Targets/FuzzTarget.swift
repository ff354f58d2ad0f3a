import Foundation

/// A reader of bytes from outside, and what must hold of it for any bytes.
///
/// The same targets are driven by libFuzzer (`Fuzz/`, `make fuzz`) and, for a bounded number of inputs, by a seeded
/// mutator in the tests. A trap of the code under test ends the process; what it answers wrongly is thrown as `Broken`.
package struct FuzzTarget: Sendable {
    /// As it is named on the command line, and its corpus in `Tests/FuzzTests/Corpus`.
    package let name: String
    /// Longest input, in bytes: what a peer or file may have, or what is enough to reach everything.
    package let maximumLength: Int
    /// Inputs to begin with, beside the corpus.
    package let seeds: @Sendable () throws -> [[UInt8]]
    /// Words of the grammar, which a mutator would not come upon by itself.
    package let words: [String]
    /// Reads an input. An input that is refused is as good as one that is taken.
    package let run: @Sendable ([UInt8]) async throws -> Void

    init(
        _ name: String, maximumLength: Int = 4_096, words: [String] = [],
        seeds: @escaping @Sendable () throws -> [[UInt8]] = { [] },
        run: @escaping @Sendable ([UInt8]) async throws -> Void
    ) {
        self.name = name
        self.maximumLength = maximumLength
        self.words = words
        self.seeds = seeds
        self.run = run
    }

    package static let all: [FuzzTarget] = [
        .accounts, .deflate, .directory, .drill, .etcd, .filter, .frame, .journal, .messages, .notification, .replica,
        .requests, .sip, .stun, .token, .topology, .uri, .websocket,
    ]
}

/// A promise that an input broke.
package struct Broken: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

/// Throws `Broken` unless something holds.
func promise(_ holds: Bool, _ otherwise: @autoclosure () -> String) throws {
    guard holds else { throw Broken(otherwise()) }
}

/// Files of the repository that inputs are made of.
enum Fixtures {
    /// The repository's root. The targets are compiled in two places; both are within it.
    static let root: String = {
        var directory = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        for _ in 0..<4 { directory.deleteLastPathComponent() }
        return directory.path
    }()

    /// The files of a directory with these endings, in the order of their names.
    static func files(in directory: String, endings: [String]) throws -> [[UInt8]] {
        try FileManager.default.contentsOfDirectory(atPath: "\(root)/\(directory)").sorted()
            .filter { name in endings.contains { name.hasSuffix($0) } }
            .map { [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(root)/\(directory)/\($0)"))) }
    }
}

/// A file for readers that take nothing else. Each process has its own; inputs come one after the other.
enum ScratchFile {
    /// In memory, where there is such a directory: a file is written for each input.
    static let directory: String = {
        let base = FileManager.default.fileExists(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
        return "\(base)/rollcall-fuzz-\(ProcessInfo.processInfo.processIdentifier)"
    }()

    /// - Returns: its path.
    static func write(_ bytes: [UInt8], _ name: String) throws -> String {
        let path = "\(directory)/\(name)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return path
    }

    /// To be called at the end of a run.
    static func removeAll() {
        try? FileManager.default.removeItem(atPath: directory)  // What stays behind is removed by the next boot.
    }
}
