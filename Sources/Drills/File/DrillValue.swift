import ClusterRuntime
import Yams

/// Collects what is wrong with a drill file while it is read, so that its author sees everything at once.
final class DrillProblems {
    let file: String
    private(set) var found: [FileProblem] = []

    init(file: String) { self.file = file }

    func report(line: Int, _ wrong: String, expected: String) {
        found.append(FileProblem(file: file, line: line, wrong: wrong, expected: expected))
    }

    var sorted: [FileProblem] {
        found.enumerated().sorted { ($0.element.line, $0.offset) < ($1.element.line, $1.offset) }.map(\.element)
    }
}

/// One value of a drill file. Each reading method says what it wants; when the value is something else it reports that,
/// with the line, and answers nil.
struct DrillValue {
    let node: Node
    /// Where the value stands, such as `steps[2].at`; empty at the root.
    let path: String
    let problems: DrillProblems

    var line: Int { node.mark?.line ?? 1 }

    static func root(of text: String, problems: DrillProblems) -> DrillValue? {
        do {
            if let line = YAMLAliases.lineOfTooMany(in: text) {
                problems.report(line: line, YAMLAliases.tooMany, expected: YAMLAliases.expected)
                return nil
            }
            if let node = try Yams.compose(yaml: text, .basic) {
                return DrillValue(node: node, path: "", problems: problems)
            }
            problems.report(line: 1, "the file is empty", expected: "a YAML mapping")
        } catch let error as YamlError {
            switch error {
            case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
                .composer(_, let problem, let mark, _):
                problems.report(line: mark.line, "not YAML: \(problem)", expected: "valid YAML")
            case .duplicatedKeysInMapping(_, let context):
                problems.report(line: context.mark.line, "a key is given more than once", expected: "each key once")
            case .no, .memory, .reader, .writer, .emitter, .representer, .dataCouldNotBeDecoded:
                problems.report(line: 1, "not YAML: \(error)", expected: "valid YAML")
            }
        } catch {
            problems.report(line: 1, "not YAML: \(error)", expected: "valid YAML")
        }
        return nil
    }

    func reject(_ wrong: String, expected: String) {
        problems.report(line: line, path.isEmpty ? wrong : "\(path): \(wrong)", expected: expected)
    }

    func text(_ expected: String) -> String? {
        guard let scalar = node.scalar?.string, !scalar.isEmpty, scalar.utf8.count <= 4096 else {
            return mismatch(expected)
        }
        return scalar
    }

    func integer(in range: ClosedRange<Int>) -> Int? {
        guard let text = node.scalar?.string, let number = Int(text.filter { $0 != "_" }), range.contains(number)
        else { return mismatch("a whole number from \(range.lowerBound) to \(range.upperBound)") }
        return number
    }

    /// A duration with its unit, such as `200ms`, `1.5s` or `2m`.
    func duration(upTo limit: Duration) -> Duration? {
        guard let text = node.scalar?.string, let duration = Self.duration(text), duration <= limit else {
            return mismatch("a duration such as 200ms, 1.5s or 2m, at most \(limit.components.seconds) s")
        }
        return duration
    }

    /// Such as `20%`.
    func percentage() -> Int? {
        guard let text = node.scalar?.string, text.hasSuffix("%"), let number = Int(text.dropLast()),
            (0...100).contains(number)
        else { return mismatch("a percentage such as 20%") }
        return number
    }

    func flag() -> Bool? {
        switch node.scalar?.string {
        case "true": true
        case "false": false
        default: mismatch("true or false")
        }
    }

    func isWord(_ word: String) -> Bool { node.scalar?.string == word }

    func items(atMost limit: Int) -> [DrillValue] {
        guard let sequence = node.sequence else { return mismatch("a list") ?? [] }
        if sequence.count > limit { reject("\(sequence.count) entries", expected: "at most \(limit)") }
        return sequence.prefix(limit).enumerated().map { index, item in
            DrillValue(node: item, path: "\(path)[\(index + 1)]", problems: problems)
        }
    }

    /// The mapping that stands here; a key not among `known` is reported with the nearest of them.
    func fields(_ known: [String]) -> DrillFields? {
        guard let mapping = node.mapping else {
            return mismatch("a mapping with \(known.joined(separator: ", "))")
        }
        var values: [String: DrillValue] = [:]
        for (key, value) in mapping {
            let name = key.scalar?.string ?? ""
            let place = path.isEmpty ? name : "\(path).\(name)"
            if known.contains(name) {
                values[name] = DrillValue(node: value, path: place, problems: problems)
            } else {
                let hint = NearestName.of(name, among: known).map { "`\($0)`" }
                problems.report(
                    line: key.mark?.line ?? line, "unknown key `\(place)`",
                    expected: hint ?? "one of \(known.joined(separator: ", "))")
            }
        }
        return DrillFields(values: values, owner: self)
    }

    private func mismatch<Value>(_ expected: String) -> Value? {
        let found = node.scalar.map { $0.string.isEmpty ? "nothing" : "`\($0.string.prefix(48))`" }
        reject("found \(found ?? (node.mapping == nil ? "a list" : "a mapping"))", expected: expected)
        return nil
    }

    private static func duration(_ text: String) -> Duration? {
        let units: [(String, Double)] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)]
        guard let (unit, factor) = units.first(where: { text.hasSuffix($0.0) }),
            text.first?.isNumber == true, text.utf8.count <= 16, let number = Double(text.dropLast(unit.count)),
            // More does not fit the integer; nothing that lasts so long is asked for.
            number * factor < 1e12
        else { return nil }
        return .microseconds(Int64((number * factor * 1_000).rounded()))
    }
}

/// The keys of a mapping, already checked against those the reader knows.
struct DrillFields {
    fileprivate let values: [String: DrillValue]
    fileprivate let owner: DrillValue

    subscript(_ key: String) -> DrillValue? { values[key] }

    func required(_ key: String, _ expected: String) -> DrillValue? {
        if let value = values[key] { return value }
        owner.reject("\(key) is missing", expected: expected)
        return nil
    }
}
