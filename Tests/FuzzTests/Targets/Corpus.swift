import Foundation

/// A target's inputs worth keeping, one a line in base64, in the order of their lengths.
package enum Corpus {
    package static func path(of target: FuzzTarget) -> String {
        "\(Fixtures.root)/Tests/FuzzTests/Corpus/\(target.name).txt"
    }

    /// The kept inputs of a target; none when there is no file.
    package static func inputs(of target: FuzzTarget) throws -> [[UInt8]] {
        guard let data = FileManager.default.contents(atPath: path(of: target)) else { return [] }
        return try String(decoding: data, as: UTF8.self).split(separator: "\n").map { line in
            guard let input = Data(base64Encoded: String(line)) else {
                throw Broken("\(path(of: target)): a line that is no base64: \(line.prefix(40))")
            }
            return [UInt8](input)
        }
    }

    /// What a target begins with: its seeds and its kept inputs.
    package static func beginning(of target: FuzzTarget) throws -> [[UInt8]] {
        try (target.seeds() + inputs(of: target)).map { Array($0.prefix(target.maximumLength)) }
    }

    /// Replaces a target's kept inputs.
    package static func keep(_ inputs: [[UInt8]], of target: FuzzTarget) throws {
        let lines = inputs.sorted { ($0.count, $0.lexicographicallyPrecedes($1) ? 0 : 1) < ($1.count, 1) }
            .map { Data($0).base64EncodedString() + "\n" }
        try Data(lines.joined().utf8).write(to: URL(fileURLWithPath: path(of: target)))
    }
}
