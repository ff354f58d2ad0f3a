import Foundation
import RegistrarEvents

@testable import ClusterRuntime
@testable import Drills

extension FuzzTarget {
    /// A topology: it is refused with the lines that are wrong, or it is whole.
    static let topology = FuzzTarget(
        "topology", maximumLength: 8_192, words: yamlWords,
        seeds: { try Fixtures.files(in: "topology", endings: [".yaml"]).filter { $0.count <= 8_192 } },
        run: { input in
            guard let text = String(validating: input, as: UTF8.self) else { return }
            do throws(TopologyError) {
                _ = try Topology.parse(text, path: "t.yaml")
            } catch {
                try FilePromises.hold(error.problems, in: input)
            }
        })

    static let drill = FuzzTarget(
        "drill", words: yamlWords,
        seeds: { try Fixtures.files(in: "drills", endings: [".yaml"]) },
        run: { input in
            guard let text = String(validating: input, as: UTF8.self) else { return }
            do throws(DrillFileError) {
                _ = try DrillFile.parse(text, path: "d.yaml")
            } catch {
                try FilePromises.hold(error.problems, in: input)
            }
        })

    /// The accounts' YAML file: what is read of it is written, and read again as the same.
    static let accounts = FuzzTarget(
        "accounts", words: yamlWords,
        seeds: {
            [
                """
                # Kept.
                accounts:
                  demo.example:
                    - { name: "1001", kind: sipuser, ha1_md5: "\(String(repeating: "0a", count: 16))", \
                ha1_sha256: "\(String(repeating: "0b", count: 32))" }
                    - { range: "u1..u9", kind: user, password_hash: "\(FilePromises.hash)" }
                    - { name: "é", kind: user, password_hash: "\(FilePromises.hash)" }
                  acme.example: []
                """
            ].map { Array($0.utf8) }
        },
        run: { input in
            let path = try ScratchFile.write(input, "accounts.yaml")
            // A file that is refused ends here.
            guard let table = try? AccountFile.read(path) else { return }
            let text = AccountFile.text(table, header: "")
            let again = try AccountFile.read(try ScratchFile.write(Array(text.utf8), "accounts.yaml"))
            try promise(AccountFile.text(again, header: "") == text, "another file after a round trip: \(text)")
        })

    /// A directory's import: each line is an account or is named, and rows are read as by a reader of bytes.
    static let directory = FuzzTarget(
        "directory",
        words: ["domain,kind,name,password\n", "demo.example,", "sipuser,", "\"\"", "\r\n", ",\"", "\u{301}"],
        seeds: {
            [
                "domain,kind,name,password\ndemo.example,user,u1,secret\r\ndemo.example,sipuser,\"10,01\",\"a\"\"b\"\n",
                "domain,kind,name,password\n\"demo.example\",user,é,p\n\nacme.example,fax,x,\n",
            ].map { Array($0.utf8) }
        },
        run: { input in
            if let row = String(validating: input, as: UTF8.self), !row.utf8.contains(UInt8(ascii: "\n")) {
                let fields = AccountImport.fields(of: row[...])
                try promise(fields == FilePromises.fields(input), "\(row.debugDescription) is read as \(fields ?? [])")
            }
            let source = try AccountImport(path: try ScratchFile.write(input, "accounts.csv")) { _ in }
            do {
                var read = 0
                while let batch = try source.next() { read += batch.count }
                try promise(read == source.count, "other accounts than counted")
                try source.finish()
            } catch DirectoryError.problems(let problems) {
                try FilePromises.hold(problems, in: input)
            }
        })

    private static let yamlWords = [
        "\n  - ", ": ", "{ ", " }", "[ ", " ]", "&a ", "*a", "!!str ", "| \n", "> \n", "---\n", "...\n", "%YAML 1.1\n",
        "? ",
        "<<: ", "\"\\x41\"", "'", "1e300s", "999999999h", "0x7f", "~", "accounts:", "range: ", "steps:", "at: 5s",
        "kill: owner", "load:", "sites:", "u1..u999999999999999",
    ]
}

private enum FilePromises {
    static let hash = "scrypt$1024$8$1$\(String(repeating: "A", count: 22))$\(String(repeating: "A", count: 43))"

    /// Whoever is told of problems finds them.
    static func hold(_ problems: [FileProblem], in input: [UInt8]) throws {
        try promise(!problems.isEmpty, "refused without a reason")
        let lines = input.reduce(2) { $1 == 10 || $1 == 13 ? $0 + 1 : $0 + ($1 == 0xC2 || $1 == 0xE2 ? 1 : 0) }
        for problem in problems {
            try promise((0...lines).contains(problem.line), "line \(problem.line) of \(lines): \(problem)")
        }
        try promise(problems.count <= ProblemList.maximum + 1, "a book of \(problems.count) problems")
    }

    /// A row of CSV by RFC 4180, read byte by byte.
    static func fields(_ row: [UInt8]) -> [String]? {
        enum State { case start, bare, quoted, closed }
        var (state, fields, field) = (State.start, [String](), [UInt8]())
        for byte in row {
            switch (state, byte) {
            case (.quoted, UInt8(ascii: "\"")): state = .closed
            case (.closed, UInt8(ascii: "\"")):
                field.append(byte)
                state = .quoted
            case (.quoted, _): field.append(byte)
            case (_, UInt8(ascii: ",")):
                fields.append(String(decoding: field, as: UTF8.self))
                (state, field) = (.start, [])
            case (.start, UInt8(ascii: "\"")): state = .quoted
            case (.closed, _), (.bare, UInt8(ascii: "\"")): return nil
            case (.start, _), (.bare, _):
                field.append(byte)
                state = .bare
            }
        }
        return state == .quoted ? nil : fields + [String(decoding: field, as: UTF8.self)]
    }
}
