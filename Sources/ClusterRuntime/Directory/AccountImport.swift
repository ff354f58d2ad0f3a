import RegistrarEvents

extension AccountDirectory {
    /// Adds the accounts of a CSV file (RFC 4180) with the header `domain,kind,name,password`: all of them,
    /// or none when a line is wrong. Takes some ten milliseconds of CPU an account.
    /// - Parameters:
    ///   - path: the file, at most 64 MiB, with fields quoted where they hold commas or quotes; a field
    ///     ends with its line.
    /// - Returns: how many accounts were added.
    /// - Throws: every line that is wrong, with its number.
    public func importCSV(path: String) throws(DirectoryError) -> Int {
        let accounts = try AccountImport.read(path)
        let present = accounts.filter { contains($0.value.domain, $0.value.account) }
        guard present.isEmpty else {
            throw .problems(
                present.map { entry in
                    let account = entry.value.account
                    return FileProblem(
                        file: path, line: entry.line,
                        wrong: "\(account.kind.name) \(account.name) is already there",
                        expected: "a new account")
                })
        }
        try add(accounts.map(\.value))
        return accounts.count
    }
}

/// Reads accounts from CSV.
enum AccountImport {
    static let maximumSize = 64 << 20
    static let header = ["domain", "kind", "name", "password"]

    struct Line {
        let value: NewAccount
        let line: Int
    }

    static func read(_ path: String) throws(DirectoryError) -> [Line] {
        let text: String
        do throws(FileFault) {
            let bytes = try LocalFile.read(path, limit: maximumSize)
            guard let valid = String(validating: bytes, as: UTF8.self) else {
                throw FileFault(wrong: "\(path) is not UTF-8", expected: "CSV in UTF-8")
            }
            text = valid
        } catch {
            throw .file("\(error.wrong); expected \(error.expected)")
        }
        return try parse(text, file: path)
    }

    static func parse(_ text: String, file: String) throws(DirectoryError) -> [Line] {
        let problems = ProblemList(file: file)
        var result: [Line] = []
        var seen: [NewAccountKey: Int] = [:]
        let rows = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        for (number, row) in zip(1..., rows) where number > 1 && !row.isEmpty {
            guard let account = account(row, line: number, problems: problems) else { continue }
            let key = NewAccountKey(domain: account.domain, account: account.account)
            if let first = seen.updateValue(number, forKey: key) {
                problems.report(
                    line: number, "\(account.account.name) is already on line \(first)",
                    expected: "each account once")
            }
            result.append(Line(value: account, line: number))
        }
        if rows.first.flatMap(fields(of:)) != header {
            problems.report(line: 1, "not the header", expected: header.joined(separator: ","))
        }
        guard problems.count == 0 else { throw .problems(problems.sorted) }
        return result
    }

    private struct NewAccountKey: Hashable {
        let domain: DomainName
        let account: AccountID
    }

    private static func account(_ row: Substring, line: Int, problems: ProblemList) -> NewAccount? {
        guard let fields = fields(of: row), fields.count == header.count else {
            problems.report(
                line: line, "not four fields with closed quotes", expected: header.joined(separator: ","))
            return nil
        }
        let domain = DomainName(fields[0])
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

    /// The fields of a row, or nil when a quote is not closed or stands inside a bare field.
    static func fields(of row: Substring) -> [String]? {
        var fields: [String] = []
        var rest = row
        while true {
            var field = ""
            if rest.first == "\"" {
                rest.removeFirst()
                while true {
                    guard let end = rest.firstIndex(of: "\"") else { return nil }
                    field += rest[..<end]
                    rest = rest[rest.index(after: end)...]
                    guard rest.first == "\"" else { break }
                    field.append(rest.removeFirst())
                }
            } else {
                let end = rest.firstIndex(of: ",") ?? rest.endIndex
                field = String(rest[..<end])
                if field.contains("\"") { return nil }
                rest = rest[end...]
            }
            fields.append(field)
            guard let separator = rest.first else { return fields }
            guard separator == "," else { return nil }
            rest.removeFirst()
        }
    }
}
