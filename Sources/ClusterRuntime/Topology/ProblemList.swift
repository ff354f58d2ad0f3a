/// Collects what is wrong with one file while it is read, so that an operator sees everything at once.
///
/// Past `maximum` problems the rest is only counted: a file that is not a topology at all must not print a
/// book.
final class ProblemList {
    static let maximum = 200

    let file: String
    private var found: [FileProblem] = []
    private var dropped = 0

    init(file: String) { self.file = file }

    /// How many problems were reported, counting those over the maximum.
    var count: Int { found.count + dropped }

    func report(line: Int, _ wrong: String, expected: String) {
        guard found.count < Self.maximum else {
            dropped += 1
            return
        }
        found.append(FileProblem(file: file, line: line, wrong: wrong, expected: expected))
    }

    /// Whether anything was reported for a line.
    func reported(line: Int) -> Bool { found.contains { $0.line == line } }

    /// The problems by line; those of one line in the order in which they were found.
    var sorted: [FileProblem] {
        var result = found.enumerated()
            .sorted { ($0.element.line, $0.offset) < ($1.element.line, $1.offset) }
            .map(\.element)
        if dropped > 0, let last = result.last {
            result.append(
                FileProblem(
                    file: file, line: last.line, wrong: "\(dropped) more problems are not shown",
                    expected: "those above to be mended first"))
        }
        return result
    }
}

/// Shortens outside text for a message and shows it between backquotes.
func quoted(_ text: String) -> String {
    let printable = text.unicodeScalars.prefix(48).map { scalar in
        scalar.properties.generalCategory == .control ? "?" : String(Character(scalar))
    }
    return "`" + printable.joined() + (text.unicodeScalars.count > 48 ? "…" : "") + "`"
}
