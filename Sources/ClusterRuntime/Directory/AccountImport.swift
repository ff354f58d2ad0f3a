import RegistrarEvents

extension AccountDirectory {
    /// Adds the accounts of a CSV file (RFC 4180) with the header `domain,kind,name,password`: all of them,
    /// or none when a line is wrong. A user takes some ten milliseconds of CPU, a sipuser microseconds; the
    /// file is read in pieces.
    /// - Parameters:
    ///   - path: the file, with fields quoted where they hold commas or quotes; a field ends with its line.
    ///   - progress: called now and then.
    /// - Returns: how many accounts were added.
    /// - Throws: every line that is wrong, with its number; past 200 of them only how many there are.
    @discardableResult
    public func importCSV(
        path: String, progress: @escaping (AccountImportProgress) -> Void = { _ in }
    ) throws(DirectoryError) -> Int {
        let source: AccountImport
        do throws(FileFault) {
            source = try AccountImport(path: path, progress: progress)
        } catch {
            throw .file("\(error.wrong); expected \(error.expected)")
        }
        try add(from: source)
        return source.count
    }
}

/// How far an import has come.
public struct AccountImportProgress: Sendable {
    /// Accounts read.
    public let accounts: Int
    /// Share of the file that was read, 0 to 1.
    public let share: Double
}

/// Reads accounts from CSV.
final class AccountImport: AccountSource {
    static let header = ["domain", "kind", "name", "password"]
    /// Accounts handed out at once: enough for all cores to have something to hash.
    static let batchSize = 4096

    /// Accounts handed out.
    private(set) var count = 0
    private let lines: LineReader
    private let problems: ProblemList
    private let progress: (AccountImportProgress) -> Void
    private var batchLines: [Int] = []
    private var lastDomain: (text: String, name: DomainName)?

    init(path: String, progress: @escaping (AccountImportProgress) -> Void) throws(FileFault) {
        lines = try LineReader(path: path)
        problems = ProblemList(file: path)
        self.progress = progress
    }

    func next() throws(DirectoryError) -> [NewAccount]? {
        var batch: [NewAccount] = []
        batchLines.removeAll(keepingCapacity: true)
        if lines.number == 0 { try readHeader() }
        while batch.count < Self.batchSize, let line = try nextLine() {
            guard let account = account(line) else { continue }
            batch.append(account)
            batchLines.append(lines.number)
        }
        count += batch.count
        progress(AccountImportProgress(accounts: count, share: lines.share))
        return batch.isEmpty ? nil : batch
    }

    func refuse(_ index: Int) {
        problems.report(
            line: batchLines[index], "an account that is there already, or stands on an earlier line",
            expected: "each account once")
    }

    func finish() throws(DirectoryError) {
        guard problems.count == 0 else { throw .problems(problems.sorted) }
    }

    private func readHeader() throws(DirectoryError) {
        let line = try nextLine()
        guard case .text(let text)? = line, Self.fields(of: text[...]) == Self.header else {
            problems.report(line: 1, "not the header", expected: Self.header.joined(separator: ","))
            // A file that is something else altogether has nothing to be told of its lines.
            throw .problems(problems.sorted)
        }
    }

    private func nextLine() throws(DirectoryError) -> LineReader.Line? {
        do throws(FileFault) {
            return try lines.next()
        } catch {
            throw .file("\(error.wrong); expected \(error.expected)")
        }
    }

    private func account(_ line: LineReader.Line) -> NewAccount? {
        switch line {
        case .text(let text): return text.isEmpty ? nil : account(text)
        case .tooLong:
            problems.report(
                line: lines.number, "a line of more than \(LineReader.maximumLength) bytes",
                expected: "one account a line")
        case .notUTF8: problems.report(line: lines.number, "not UTF-8", expected: "CSV in UTF-8")
        }
        return nil
    }

    private func account(_ text: String) -> NewAccount? {
        let line = lines.number
        guard let fields = Self.fields(of: text[...]), fields.count == Self.header.count else {
            problems.report(
                line: line, "not four fields with closed quotes", expected: Self.header.joined(separator: ","))
            return nil
        }
        let domain = domain(fields[0])
        if domain == nil {
            problems.report(
                line: line, "domain \(quoted(fields[0]))", expected: "a domain name such as demo.example")
        }
        let kind = AccountKind(name: fields[1])
        if kind == nil {
            problems.report(line: line, "kind \(quoted(fields[1]))", expected: "user or sipuser")
        }
        guard let domain, let kind else { return nil }
        let account = NewAccount(domain, AccountID(kind, fields[2]), password: fields[3])
        do throws(DirectoryError) {
            try AccountRules.check(account)
            return account
        } catch {
            problems.report(line: line, error.description, expected: "an account that can be added")
            return nil
        }
    }

    /// Most lines have the domain of the line before.
    private func domain(_ text: String) -> DomainName? {
        if let lastDomain, lastDomain.text == text { return lastDomain.name }
        guard let name = DomainName(text) else { return nil }
        lastDomain = (text, name)
        return name
    }

    /// The fields of a row, or nil when a quote is not closed or stands inside a bare field. Read byte by byte: a quote
    /// or comma is one also before a combining mark.
    static func fields(of row: Substring) -> [String]? {
        let (quote, comma) = (UInt8(ascii: "\""), UInt8(ascii: ","))
        guard row.utf8.contains(quote) else {
            return row.utf8.split(separator: comma, omittingEmptySubsequences: false).map { String(Substring($0)) }
        }
        var fields: [String] = []
        var rest = row.utf8
        while true {
            var field = ""
            if rest.first == quote {
                rest.removeFirst()
                while true {
                    guard let end = rest.firstIndex(of: quote) else { return nil }
                    field += Substring(rest[..<end])
                    rest = rest[rest.index(after: end)...]
                    guard rest.first == quote else { break }
                    field += "\""
                    rest.removeFirst()
                }
            } else {
                let end = rest.firstIndex(of: comma) ?? rest.endIndex
                if rest[..<end].contains(quote) { return nil }
                field = String(Substring(rest[..<end]))
                rest = rest[end...]
            }
            fields.append(field)
            guard let separator = rest.first else { return fields }
            guard separator == comma else { return nil }
            rest.removeFirst()
        }
    }
}
