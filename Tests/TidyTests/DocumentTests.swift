import Foundation
import Testing

/// What documents say is there.
@Suite struct DocumentTests {
    @Test func readmeIsShort() {
        let lines = Repository.text("README.md").split(separator: "\n", omittingEmptySubsequences: false)
        #expect((30..<200).contains(lines.count), "README.md has \(lines.count) lines")
    }

    @Test func everyLinkLeadsSomewhere() {
        var findings: [Finding] = []
        for path in Repository.markdownFiles {
            for (line, target) in Self.links(in: Repository.text(path)) {
                let parts = target.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
                let file = parts[0].isEmpty ? path : Self.resolve(String(parts[0]), from: path)
                if !Repository.has(file) {
                    findings.append(Finding(path, line, "links to \(target), which does not exist"))
                } else if parts.count == 2, !Self.anchors(of: file).contains(String(parts[1])) {
                    findings.append(Finding(path, line, "\(file) has no heading for #\(parts[1])"))
                }
            }
        }
        expectNone(findings)
    }

    @Test func everyFileThatIsNamedExists() {
        let named = #/(?:^|[\s`("'])((?:docs|topology|drills|scripts|Tests|Sources|Benchmarks)\/[\w.+\/-]*[\w\/])/#
        var findings: [Finding] = []
        func check(_ path: String, _ line: Int, _ text: String) {
            for match in text.matches(of: named) {
                // What a run leaves behind is not in the repository.
                if match.1.hasPrefix("topology/var") || match.1.contains("/.build") { continue }
                if !Repository.has(String(match.1)) {
                    findings.append(Finding(path, line, "names \(match.1), which does not exist"))
                }
            }
        }
        for path in Repository.markdownFiles + ["Makefile"] {
            // A wildcard may find nothing.
            for (line, text) in Self.lines(of: path) where !text.contains("$(wildcard") { check(path, line, text) }
        }
        for file in Repository.swiftFiles where file.target != "TidyTests" {
            for line in file.lines { if let comment = line.comment { check(file.path, line.number, comment) } }
        }
        expectNone(findings)
    }

    @Test func everyVerbInADocumentIsACommand() {
        let sources = Repository.files(under: "Sources/rollcall", suffix: ".swift").map(Repository.text).joined()
        var findings: [Finding] = []
        for path in Repository.markdownFiles {
            for (line, code) in Self.code(in: Repository.text(path)) {
                for match in code.matches(of: #/(?:^|[\s\/$])rollcall ([a-z]+)/#) {
                    let verb = String(match.1)
                    let isThere =
                        sources.contains("\"\(verb)\"")
                        || sources.localizedCaseInsensitiveContains("struct \(verb): ")
                        || sources.localizedCaseInsensitiveContains("struct \(verb)Command: ")
                    if !isThere { findings.append(Finding(path, line, "`rollcall \(verb)` is no command")) }
                }
            }
        }
        expectNone(findings)
    }

    @Test func everyMakeVerbInADocumentIsATarget() {
        let targets = Set(Self.lines(of: "Makefile").compactMap { $0.text.prefixMatch(of: #/([a-z-]+):/#)?.1 })
        var findings: [Finding] = []
        for path in Repository.markdownFiles {
            for (line, code) in Self.code(in: Repository.text(path)) {
                for match in code.matches(of: #/(?:^|\s)make ([a-z-]+)/#) where !targets.contains(match.1) {
                    findings.append(Finding(path, line, "`make \(match.1)` is no verb of the Makefile"))
                }
            }
        }
        expectNone(findings)
    }

    @Test func everyPeriodAndLimitIsDocumented() {
        let operations = Repository.text("docs/operations.md")
        var findings: [Finding] = []
        for path in ["Sources/ClusterRuntime/Topology/Periods.swift", "Sources/ClusterRuntime/Topology/Limits.swift"] {
            let keys = Repository.text(path).matches(of: #/Field\("([a-z_]+)",/#).map(\.1)
            #expect(keys.count > 5, "\(path) lists its fields in another way now")
            for key in keys where !operations.contains("| `\(key)` |") {
                findings.append(Finding("docs/operations.md", 1, "has no row for \(key) of \(path)"))
            }
        }
        expectNone(findings)
    }

    @Test func everyMetricIsDocumented() {
        let page = "docs/metrics.md"
        var documented: Set<String> = []
        var findings: [Finding] = []
        for (line, text) in Self.lines(of: page) where text.hasPrefix("| `rollcall_") {
            let cell = text.dropFirst().prefix { $0 != "|" }
            for match in cell.matches(of: #/rollcall_[a-z_]+/#) {
                let isNew = documented.insert(String(match.output)).inserted
                if !isNew { findings.append(Finding(page, line, "has a second row for \(match.output)")) }
            }
        }
        let registered = Set(Repository.files(under: "Sources", suffix: ".swift").flatMap(Self.metrics(of:)))
        #expect(registered.count > 60, "nodes register their metrics in another way now")
        for name in registered.subtracting(documented).sorted() {
            findings.append(Finding(page, 1, "has no row for \(name)"))
        }
        for name in documented.subtracting(registered).sorted() {
            findings.append(Finding(page, 1, "has a row for \(name), which no node registers"))
        }
        for path in Repository.markdownFiles {
            for (line, code) in Self.code(in: Repository.text(path)) {
                for match in code.matches(of: #/\brollcall_[a-z_]+/#) where !documented.contains(String(match.output)) {
                    findings.append(Finding(path, line, "names the metric \(match.output), which \(page) does not"))
                }
            }
        }
        expectNone(findings)
    }

    /// The field's words: each is defined once, and used for nothing else.
    private static let terms = [
        "account", "address of record", "assignment", "binding", "clear", "contact", "coordinator", "copy", "digest",
        "domain", "drill", "epoch", "event", "failover", "follower", "frontier", "gateway", "generation", "heartbeat",
        "in-sync", "incarnation", "journal", "lease", "log", "machine", "node", "owner", "platform", "position",
        "registrar", "registration", "replay", "replica", "resync", "revision", "ring", "sequence", "shell", "snapshot",
        "standby", "stretch", "subscriber", "term",
    ]

    @Test func glossaryDefinesTheFieldsWords() {
        let glossary = Repository.text("docs/glossary.md")
        let defined = glossary.matches(of: #/(?m)^\*\*([^*]+)\*\*/#).map { String($0.1) }
        let missing = Self.terms.filter { !defined.contains($0) }
        #expect(missing.isEmpty, "docs/glossary.md does not define \(missing)")
        #expect(Set(defined).count == defined.count, "docs/glossary.md defines a word twice")
        let merged = glossary.matches(of: #/[^\n]\n\*\*([^*]+)\*\*/#).map { String($0.1) }
        #expect(merged.isEmpty, "docs/glossary.md has no empty line before \(merged)")
        #expect(defined == defined.sorted(), "docs/glossary.md is not in the order of the alphabet")
    }

    @Test func everyTopologyAndDrillIsNamedInADocumentOrTest() {
        let texts = Repository.markdownFiles + Repository.files(under: "Tests", suffix: ".swift")
        let all = texts.map(Repository.text).joined()
        let files = Repository.files.filter {
            ($0.hasPrefix("topology/") || $0.hasPrefix("drills/")) && !$0.hasSuffix(".lock")
        }
        #expect(files.contains { $0.hasPrefix("topology/") })
        let findings = files.filter { !all.contains(($0 as NSString).lastPathComponent) }
            .map { Finding($0, 1, "is named by no document and no test") }
        expectNone(findings)
    }

    @Test func nothingSpeaksOfWhatIsNotInTheRepository() {
        // Put together here, so that this file does not find itself.
        let words = ["/wo" + "rk/", "sha" + "red/", ".libr" + "ary/", ".mir" + "ror/", "/tmp/ba" + "sh_jobs"]
        var findings: [Finding] = []
        for path in Repository.files {
            for (line, text) in Self.lines(of: path) {
                for word in words where text.contains(word) {
                    findings.append(Finding(path, line, "speaks of \(word)"))
                }
            }
        }
        expectNone(findings)
    }

    @Test func decisionsAreNumberedWithoutGapsAndListed() {
        let list = "docs/decisions/README.md"
        let records = Repository.files(under: "docs/decisions", suffix: ".md").filter { $0 != list }
        let numbers = records.compactMap { Int(($0 as NSString).lastPathComponent.prefix(4)) }
        #expect(!numbers.isEmpty && numbers == Array(1...numbers.count), "docs/decisions holds \(numbers)")
        let rows = Repository.text(list).matches(of: #/\| \[\d{4}\]\(([\w.-]+)\) \|/#)
        #expect(rows.map { "docs/decisions/\($0.1)" } == records, "\(list) is not the list of records")
        for path in records {
            let text = Repository.text(path)
            for heading in ["## Context", "## Decision", "## Rejected"] {
                #expect(text.contains("\n" + heading), "\(path) has no \(heading)")
            }
        }
    }
}

extension DocumentTests {
    private static func lines(of path: String) -> [(line: Int, text: String)] {
        Repository.text(path).split(separator: "\n", omittingEmptySubsequences: false).enumerated()
            .map { ($0 + 1, String($1)) }
    }

    /// The names of the metrics that a source file registers: those written out, and those put together from the rows
    /// of its table, which are name, help and key path.
    private static func metrics(of path: String) -> [String] {
        let text = Repository.text(path)
        let whole = text.matches(of: #/"(rollcall_[a-z_]+)"/#).map { String($0.1) }
        let rows = text.matches(of: #/\(\s*"([a-z_]+)",\s*"[^"]+",\s*\\\.\w+\s*\)/#).map { String($0.1) }
        let forms = text.matches(of: #/"(rollcall_[a-z_]+)\\\(\w+\)([a-z_]+)"/#)
        return whole + forms.flatMap { form in rows.map { "\(form.1)\($0)\(form.2)" } }
    }

    /// Targets of relative links outside code blocks.
    private static func links(in text: String) -> [(line: Int, target: String)] {
        var found: [(Int, String)] = []
        var isCode = false
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.hasPrefix("```") { isCode.toggle() }
            if isCode { continue }
            for match in line.matches(of: #/\]\(([^)\s]+)\)/#) where !match.1.contains("://") {
                if !match.1.hasPrefix("mailto:") { found.append((index + 1, String(match.1))) }
            }
        }
        return found
    }

    /// Lines of code blocks, and code within lines.
    private static func code(in text: String) -> [(line: Int, code: String)] {
        var found: [(Int, String)] = []
        var isCode = false
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.hasPrefix("```") {
                isCode.toggle()
            } else if isCode {
                found.append((index + 1, String(line)))
            } else {
                for match in line.matches(of: #/`([^`]+)`/#) { found.append((index + 1, String(match.1))) }
            }
        }
        return found
    }

    private static func resolve(_ target: String, from path: String) -> String {
        var parts = path.split(separator: "/").dropLast().map(String.init)
        for part in target.split(separator: "/") {
            switch part {
            case ".": break
            case "..": if !parts.isEmpty { parts.removeLast() }
            default: parts.append(String(part))
            }
        }
        return parts.joined(separator: "/")
    }

    /// The names by which a document's headings can be linked to.
    private static func anchors(of path: String) -> Set<String> {
        let headings = Repository.text(path).matches(of: #/(?m)^#+ +(.+)$/#).map { $0.1.lowercased() }
        return Set(
            headings.map { heading in
                String(heading.filter { $0.isLetter || $0.isNumber || $0 == " " || $0 == "-" || $0 == "_" })
                    .replacing(" ", with: "-")
            })
    }
}
