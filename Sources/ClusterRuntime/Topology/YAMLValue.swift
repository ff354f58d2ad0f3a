import Yams

/// One value of a file on its way into the model.
///
/// Each reading method says what it wants; when the value is something else it reports that, with the line,
/// and answers nil. Callers go on with a default, so one pass finds every problem.
struct YAMLValue {
    let node: Node
    /// Where the value stands, such as `domains[2].limits.contacts`; empty at the root.
    let path: String
    let problems: ProblemList

    /// Longest text accepted anywhere, in bytes.
    static let maximumTextLength = 4096

    var line: Int { node.mark?.line ?? 1 }

    func reject(_ wrong: String, expected: String) {
        problems.report(line: line, path.isEmpty ? wrong : "\(path): \(wrong)", expected: expected)
    }

    /// A non-empty text. Numbers are taken as they are written, so that an account may be called `1001`.
    func text(_ expected: String = "a text") -> String? {
        guard case .scalar(let scalar) = node, !isNull else { return mismatch(expected) }
        guard !scalar.string.isEmpty, scalar.string.utf8.count <= Self.maximumTextLength,
            !scalar.string.unicodeScalars.contains(where: { $0.properties.generalCategory == .control })
        else {
            return mismatch("\(expected) of 1 to \(Self.maximumTextLength) bytes without control characters")
        }
        return scalar.string
    }

    /// A whole number, not quoted; `1_000_000` may be grouped with underscores.
    func integer(in range: ClosedRange<Int>) -> Int? {
        let expected = "a whole number from \(range.lowerBound) to \(range.upperBound)"
        guard let text = plainText, let number = Int(text.filter { $0 != "_" }), range.contains(number) else {
            return mismatch(expected)
        }
        return number
    }

    /// A duration with its unit. Where the field has always been in seconds, a bare number is read as
    /// seconds.
    func duration(in range: ClosedRange<Duration>, bareSeconds: Bool = false) -> Duration? {
        let bounds = "from \(Quantity.text(range.lowerBound)) to \(Quantity.text(range.upperBound))"
        let expected = "a duration \(bounds), such as 200ms, 1.5s or 2m"
        guard let text = plainText else { return mismatch(expected) }
        let bare = bareSeconds && text.allSatisfy(\.isASCIIDigit)
        guard let duration = Quantity.duration(bare ? text + "s" : text), range.contains(duration) else {
            return mismatch(expected)
        }
        return duration
    }

    /// A number of bytes, such as `64KiB` or `65536`.
    func bytes(in range: ClosedRange<Int>) -> Int? {
        guard let text = plainText, let count = Quantity.bytes(text), range.contains(count) else {
            let bounds =
                "from \(Quantity.text(bytes: range.lowerBound)) to \(Quantity.text(bytes: range.upperBound))"
            return mismatch("a size \(bounds), such as 64KiB or 8MiB")
        }
        return count
    }

    func flag() -> Bool? {
        switch plainText {
        case "true": true
        case "false": false
        default: mismatch("true or false")
        }
    }

    /// One of a few words.
    func choice<Value>(_ options: [(String, Value)]) -> Value? {
        let names = options.map(\.0).joined(separator: ", ")
        guard case .scalar(let scalar) = node, !isNull else { return mismatch("one of \(names)") }
        if let option = options.first(where: { $0.0 == scalar.string }) { return option.1 }
        let hint = NearestName.of(scalar.string, among: options.map(\.0))
        return mismatch("one of \(names)" + (hint.map { " (did you mean \($0)?)" } ?? ""))
    }

    /// The items of a list, at most `limit` of them.
    func items(atMost limit: Int) -> [YAMLValue] {
        guard case .sequence(let sequence) = node else {
            reject("found \(found)", expected: "a list")
            return []
        }
        if sequence.count > limit {
            reject("\(sequence.count) entries", expected: "at most \(limit)")
        }
        return sequence.prefix(limit).enumerated().map { index, item in
            YAMLValue(node: item, path: "\(path)[\(index + 1)]", problems: problems)
        }
    }

    /// What stands here, in words.
    var found: String {
        switch node {
        case .mapping: "a mapping"
        case .sequence: "a list"
        case .alias: "an alias"
        case .scalar where isNull: "nothing"
        case .scalar(let scalar) where scalar.style != .plain: "the quoted text \(quoted(scalar.string))"
        case .scalar(let scalar): quoted(scalar.string)
        }
    }

    private func mismatch<Value>(_ expected: String) -> Value? {
        reject("found \(found)", expected: expected)
        return nil
    }

    private var isNull: Bool {
        guard case .scalar(let scalar) = node, scalar.style == .plain else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }

    private var plainText: String? {
        guard case .scalar(let scalar) = node, scalar.style == .plain, !isNull else { return nil }
        return scalar.string
    }
}
