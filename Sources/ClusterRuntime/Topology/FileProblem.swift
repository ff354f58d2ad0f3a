/// One thing that is wrong with a file an operator wrote: where it is, what is wrong, and what was expected
/// instead.
public struct FileProblem: Hashable, Sendable {
    /// The file as the operator named it.
    public let file: String
    /// Line number, from 1.
    public let line: Int
    /// What was found, such as "unknown key replica" with the key in backticks.
    public let wrong: String
    /// What would have been right, in words that continue "expected …".
    public let expected: String

    public init(file: String, line: Int, wrong: String, expected: String) {
        self.file = file
        self.line = line
        self.wrong = wrong
        self.expected = expected
    }
}

extension FileProblem: CustomStringConvertible {
    /// `FILE:LINE: what is wrong; expected what was expected`.
    public var description: String { "\(file):\(line): \(wrong); expected \(expected)" }
}

/// Everything that is wrong with a topology file, sorted by line. Never empty.
public struct TopologyError: Error, Hashable, Sendable, CustomStringConvertible {
    public let problems: [FileProblem]

    public init(_ problems: [FileProblem]) {
        precondition(!problems.isEmpty, "a topology error without a problem")
        self.problems = problems
    }

    /// One problem a line.
    public var description: String { problems.map(\.description).joined(separator: "\n") }
}

/// A setting that does not fit another one or its own range: what `Periods` and `Limits` say about
/// themselves.
public struct SettingViolation: Hashable, Sendable {
    /// The key in the topology file.
    public let setting: String
    public let wrong: String
    public let expected: String
}
