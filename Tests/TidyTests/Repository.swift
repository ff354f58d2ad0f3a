import Foundation
import Testing

/// The files of this repository, read from where this file stands.
struct Repository {
    /// The repository's root directory.
    static let root: String = {
        var directory = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { directory.deleteLastPathComponent() }
        return directory.path
    }()

    /// What is built, run or installed here, and so not part of the repository.
    private static let skippedDirectories: Set<String> = [".git", "var", "__pycache__", "node_modules", ".venv"]
    /// Larger files are data.
    private static let maximumFileSize = 1 << 20

    /// Paths of all text files, relative to the root, sorted.
    static let files: [String] = {
        guard let walk = FileManager.default.enumerator(atPath: root) else { return [] }
        var found: [String] = []
        for case let path as String in walk {
            let name = (path as NSString).lastPathComponent
            if skippedDirectories.contains(name) || name.hasPrefix(".build") {
                walk.skipDescendants()
                continue
            }
            let attributes = walk.fileAttributes
            guard attributes?[.type] as? FileAttributeType == .typeRegular,
                let size = attributes?[.size] as? Int, size <= maximumFileSize
            else { continue }
            found.append(path)
        }
        return found.sorted()
    }()

    /// Whether there is a file or directory at this path.
    static func has(_ path: String) -> Bool { FileManager.default.fileExists(atPath: "\(root)/\(path)") }

    /// The text of a file; empty when there is none or it is not text.
    static func text(_ path: String) -> String {
        guard let bytes = FileManager.default.contents(atPath: "\(root)/\(path)"), !bytes.contains(0) else { return "" }
        return String(data: bytes, encoding: .utf8) ?? ""
    }

    static func files(under directory: String, suffix: String) -> [String] {
        files.filter { $0.hasPrefix(directory + "/") && $0.hasSuffix(suffix) }
    }

    /// Swift files that ship.
    static let sources = swiftFiles.filter { $0.path.hasPrefix("Sources/") }
    /// All Swift files but the manifest.
    static let swiftFiles = files.filter { $0.hasSuffix(".swift") && $0 != "Package.swift" }.map(SwiftFile.init)
    static var markdownFiles: [String] { files.filter { $0.hasSuffix(".md") } }
}

/// Something that is not as it should be, and where.
struct Finding: Sendable, CustomStringConvertible {
    let path: String
    let line: Int
    let text: String

    init(_ path: String, _ line: Int, _ text: String) {
        self.path = path
        self.line = line
        self.text = text
    }

    var description: String { "\(path):\(line): \(text)" }
}

/// Fails the test with one finding a line.
func expectNone(_ findings: [Finding], sourceLocation: SourceLocation = #_sourceLocation) {
    guard !findings.isEmpty else { return }
    let lines = findings.map { "\n  \($0)" }.joined()
    Issue.record("\(findings.count) findings:\(lines)", sourceLocation: sourceLocation)
}
