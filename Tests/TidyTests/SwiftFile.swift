/// A Swift source file as lines, each split into its code and its comment.
struct SwiftFile: Sendable {
    struct Line: Sendable {
        /// Counts from 1.
        let number: Int
        let text: String
        /// The text without comments and without what stands inside string literals.
        let code: String
        /// What stands after `//`, or nil.
        let comment: String?

        /// Whether the comment is documentation, which may hold examples.
        var isDocumentation: Bool { comment?.hasPrefix("/") ?? false }
        var hasOnlyComment: Bool { comment != nil && code.allSatisfy(\.isWhitespace) }
    }

    let path: String
    let lines: [Line]

    init(_ path: String) { self.init(path: path, text: Repository.text(path)) }

    init(path: String, text: String) {
        self.path = path
        var splitter = LineSplitter()
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().map { index, text in
            let (code, comment) = splitter.split(text)
            return Line(number: index + 1, text: String(text), code: code, comment: comment)
        }
    }

    /// The target that the file belongs to: the directory under `Sources` or `Tests`.
    var target: String { path.split(separator: "/").dropFirst().first.map(String.init) ?? "" }

    /// The modules the file imports, with their lines.
    var imports: [(module: String, line: Int)] {
        lines.compactMap { line in
            guard let match = line.code.firstMatch(of: #/^\s*(?:[@\w()]+\s+)*import\s+(?:\w+\s+)?(\w+)/#) else {
                return nil
            }
            return (String(match.1), line.number)
        }
    }
}

/// Tells code from comments and strings, line by line. Multiline strings and block comments carry over.
private struct LineSplitter {
    private enum Inside {
        case code
        case text(quotes: Int, hashes: Int)
        case block
    }

    private var inside = Inside.code
    /// Literals that were left for an interpolation, with the parentheses open in it.
    private var interrupted: [(literal: Inside, parentheses: Int)] = []

    mutating func split(_ line: Substring) -> (code: String, comment: String?) {
        var code = ""
        var rest = line[...]
        // A literal of one quote ends with its line, whatever was misread in it.
        if case .text(1, _) = inside { (inside, interrupted) = (.code, []) }
        while !rest.isEmpty {
            switch inside {
            case .block: skipBlock(&rest)
            case .text(let quotes, let hashes): skipText(&rest, quotes: quotes, hashes: hashes)
            case .code:
                if rest.hasPrefix("//") { return (code, String(rest.dropFirst(2))) }
                readCode(&rest, into: &code)
            }
        }
        return (code, nil)
    }

    private mutating func skipBlock(_ rest: inout Substring) {
        if rest.hasPrefix("*/") {
            rest = rest.dropFirst(2)
            inside = .code
        } else {
            rest = rest.dropFirst()
        }
    }

    private mutating func skipText(_ rest: inout Substring, quotes: Int, hashes: Int) {
        let end = String(repeating: "\"", count: quotes) + String(repeating: "#", count: hashes)
        let escape = "\\" + String(repeating: "#", count: hashes)
        if rest.hasPrefix(escape + "(") {
            interrupted.append((inside, 1))
            inside = .code
            rest = rest.dropFirst(escape.count + 1)
        } else if rest.hasPrefix(escape) {
            rest = rest.dropFirst(escape.count + 1)
        } else if rest.hasPrefix(end) {
            rest = rest.dropFirst(end.count)
            inside = .code
        } else {
            rest = rest.dropFirst()
        }
    }

    private mutating func readCode(_ rest: inout Substring, into code: inout String) {
        if rest.hasPrefix("/*") {
            rest = rest.dropFirst(2)
            inside = .block
            return
        }
        let hashes = rest.prefix { $0 == "#" }.count
        let quoted = rest.dropFirst(hashes)
        if quoted.hasPrefix("\"") {
            let quotes = quoted.hasPrefix("\"\"\"") ? 3 : 1
            rest = quoted.dropFirst(quotes)
            inside = .text(quotes: quotes, hashes: hashes)
            code += "\"\""
            return
        }
        let character = rest.removeFirst()
        if let last = interrupted.indices.last {
            if character == "(" { interrupted[last].parentheses += 1 }
            if character == ")" { interrupted[last].parentheses -= 1 }
            if interrupted[last].parentheses == 0 {
                inside = interrupted.removeLast().literal
                return
            }
        }
        code.append(character)
    }
}
