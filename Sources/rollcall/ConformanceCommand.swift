import ArgumentParser
import Conformance
import Foundation

struct ConformanceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "conformance",
        abstract: "Try a consumer of the events with a nasty stream, and check the set that it keeps.",
        discussion: """
            The consumer is any program. It reads lines of JSON from its stdin: ["event", {…}], as websockets get \
            them, and at quiet points ["state", {"qid", "domain"}], to which it answers with one line on its stdout:

              ["state_result", {"qid", "position": {"epoch", "seq"}, "whole",
                "contacts": [{"kind", "account", "contact_id", …}]}]

            Of these, position, whole and the other members of a contact are looked at where they are said. Exits with \
            1 when something differs from what the owner lists. Examples/ has consumers in three languages.

            Example: rollcall conformance -- python3 Examples/reducer-python/reducer.py
                     rollcall conformance --print > stream.jsonl
            """)

    @Option(help: ArgumentHelp("Play this recording instead.", valueName: "file"))
    var stream: String?
    @Flag(name: .customLong("print"), help: "Print the recording, with what is expected, and try nobody.")
    var isPrinting = false
    @Option(help: ArgumentHelp("How long the consumer may take for an answer, in seconds.", valueName: "seconds"))
    var timeout = 10
    @OptionGroup var json: JSONOption
    @Argument(parsing: .postTerminator, help: ArgumentHelp("The consumer and its arguments.", valueName: "command"))
    var command: [String] = []

    struct Document: Encodable {
        struct Point: Encodable {
            let name: String
            let contacts: Int?
            let findings: [String]
        }

        let ok: Bool
        let points: [Point]
    }

    func validate() throws {
        guard (1...3_600).contains(timeout) else {
            throw ValidationError("--timeout is \(timeout); expected 1 to 3600")
        }
        if command.isEmpty, !isPrinting {
            throw ValidationError("no consumer; expected `-- COMMAND…` after the options, or --print")
        }
    }

    func run() throws {
        let recording = try recording()
        if isPrinting {
            for line in recording.lines where !Console.line(line) { return }
            return
        }
        var verdicts: [Verdict] = []
        do {
            try ConformanceRun(recording, patience: .seconds(timeout)).play(to: command) { verdict in
                verdicts.append(verdict)
                if !json.isOn { Console.line(Self.text(of: verdict)) }
            }
        } catch .cannotStart(let reason) {
            throw CommandFailure.badInput("\(command.joined(separator: " ")): \(reason)")
        } catch {
            throw CommandFailure.no("\(error)")
        }
        let failed = verdicts.count { !$0.isGood }
        if json.isOn {
            let points = verdicts.map {
                Document.Point(name: $0.name, contacts: $0.contacts, findings: $0.findings)
            }
            try Console.json(Document(ok: failed == 0, points: points))
        } else {
            Console.line("\(verdicts.count) quiet points, \(failed) failed")
        }
        guard failed == 0 else { throw CommandFailure.no() }
    }

    private func recording() throws -> Recording {
        guard let stream else { return .nasty }
        let text: String
        do {
            text = try String(contentsOfFile: stream, encoding: .utf8)
        } catch {
            throw CommandFailure.badInput("\(stream): \(error.localizedDescription)")
        }
        do {
            return try Recording(parsing: text)
        } catch {
            throw CommandFailure.badInput("\(stream):\(error)")
        }
    }

    private static func text(of verdict: Verdict) -> String {
        guard !verdict.isGood else { return "ok    \(verdict.name)" }
        return (["FAIL  \(verdict.name)"] + verdict.findings).joined(separator: "\n        ")
    }
}
