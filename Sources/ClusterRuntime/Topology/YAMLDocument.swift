import Foundation
import Yams

/// Gets from a file's path to the root of its YAML tree, within limits that hold for any bytes.
enum YAMLDocument {
    /// Reads, decodes and parses a file. What is wrong is reported to `problems`, and the answer is then nil.
    static func read(_ path: String, limit: Int, problems: ProblemList) -> YAMLValue? {
        text(path, limit: limit, problems: problems).flatMap { parse($0, problems: problems) }
    }

    /// Reads and decodes a file. What is wrong is reported to `problems`, and the answer is then nil.
    static func text(_ path: String, limit: Int, problems: ProblemList) -> String? {
        do throws(FileFault) {
            let bytes = try LocalFile.read(path, limit: limit)
            guard let text = String(validating: bytes, as: UTF8.self) else {
                problems.report(line: 1, "the file is not UTF-8", expected: "YAML in UTF-8")
                return nil
            }
            return text
        } catch {
            problems.report(line: 1, error.wrong, expected: error.expected)
            return nil
        }
    }

    /// Parses one YAML document.
    static func parse(_ text: String, problems: ProblemList) -> YAMLValue? {
        if let line = YAMLAliases.lineOfTooMany(in: text) {
            problems.report(line: line, YAMLAliases.tooMany, expected: YAMLAliases.expected)
            return nil
        }
        do {
            let parser = try Parser(yaml: text, resolver: .basic, encoding: .utf8)
            guard let root = try parser.singleRoot() else {
                problems.report(line: 1, "the file is empty", expected: "a YAML mapping")
                return nil
            }
            // The nodes hold their anchors weakly: only the parser keeps them.
            let plain = withExtendedLifetime(parser) { hasNoAnchors(root, problems: problems) }
            return plain ? YAMLValue(node: root, path: "", problems: problems) : nil
        } catch let error as YamlError {
            report(error, problems: problems)
        } catch {
            problems.report(line: 1, "the file cannot be parsed (\(error))", expected: "YAML")
        }
        return nil
    }

    /// Anchored nodes are reported and not entered, so the walk visits each node of the text once.
    private static func hasNoAnchors(_ node: Node, problems: ProblemList) -> Bool {
        if let anchor = node.anchor {
            problems.report(
                line: node.mark?.line ?? 1, "YAML anchor \(quoted("&" + anchor.rawValue))",
                expected: "the value written out, without anchors and aliases")
            return false
        }
        switch node {
        case .scalar, .alias:
            return true
        case .sequence(let items):
            return items.reduce(true) { hasNoAnchors($1, problems: problems) && $0 }
        case .mapping(let pairs):
            return pairs.reduce(true) { result, pair in
                let key = hasNoAnchors(pair.key, problems: problems)
                let value = hasNoAnchors(pair.value, problems: problems)
                return result && key && value
            }
        }
    }

    private static func report(_ error: YamlError, problems: ProblemList) {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            problems.report(line: mark.line, "not YAML: \(problem)", expected: "valid YAML")
        case .duplicatedKeysInMapping(let keys, let context):
            problems.report(
                line: context.mark.line,
                "key \(keys.map(quoted).joined(separator: ", ")) is given more than once",
                expected: "each key once")
        case .reader(let problem, let offset, _, let text):
            let before = text.prefix(offset ?? 0)
            let line = before.reduce(1) { $0 + ($1.isNewline ? 1 : 0) }
            problems.report(line: line, "not YAML: \(problem)", expected: "valid YAML")
        case .no, .memory, .writer, .emitter, .representer, .dataCouldNotBeDecoded:
            problems.report(line: 1, "not YAML: \(error)", expected: "valid YAML")
        }
    }
}
