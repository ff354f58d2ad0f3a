import RegistrarEvents

/// Plays a recording to a consumer, and judges what it says at the quiet points.
package struct ConformanceRun {
    /// Why the consumer could not be judged to the end.
    package enum Failure: Error, Hashable, CustomStringConvertible {
        case cannotStart(String)
        /// After so many quiet points.
        case broken(String, after: Int)

        package var description: String {
            switch self {
            case .cannotStart(let reason): "the consumer cannot be started: \(reason)"
            case .broken(let what, let count): "the consumer \(what), after \(count) quiet points"
            }
        }
    }

    private let recording: Recording
    private let patience: Duration

    package init(_ recording: Recording, patience: Duration) {
        self.recording = recording
        self.patience = patience
    }

    /// Starts the consumer, plays everything, and ends it.
    /// - Parameters:
    ///   - command: the program and its arguments
    ///   - take: gets each verdict as it comes
    package func play(to command: [String], _ take: (Verdict) -> Void) throws(Failure) {
        var points = 0
        do throws(Consumer.Failure) {
            let consumer = try Consumer(command: command, patience: patience)
            defer { consumer.stop() }
            for step in recording.steps {
                switch step {
                case .send(let line): try consumer.send(line)
                case .expect(let expectation):
                    let query: [String: JSONValue] = [
                        "qid": .integer(Int64(points + 1)), "domain": .string(expectation.domain),
                    ]
                    try consumer.send(JSONLine.text("state", query))
                    take(Self.judge(try consumer.receive(), qid: points + 1, expectation))
                    points += 1
                }
            }
        } catch {
            throw Self.failure(error, after: points)
        }
    }

    private static func judge(_ line: String, qid: Int, _ expected: Recording.Expectation) -> Verdict {
        // What is no JSON is no answer either.
        let answer = (try? JSONValue(parsing: line.utf8, maximumDepth: Recording.maximumDepth))?.array ?? []
        guard answer.count == 2, answer[0] == "state_result", let body = answer[1].object,
            body["qid"] == .integer(Int64(qid))
        else {
            let finding = "answers \(line.prefix(60)), expected [\"state_result\",{\"qid\":\(qid),…}]"
            return Verdict(name: expected.name, findings: [finding])
        }
        return Verdict(on: body, expected: expected)
    }

    private static func failure(_ failure: Consumer.Failure, after points: Int) -> Failure {
        switch failure {
        case .cannotStart(let reason): .cannotStart(reason)
        case .ended(127): .cannotStart("no such program")
        case .ended(let status): .broken("ended with \(status)", after: points)
        case .silent: .broken("neither reads nor answers", after: points)
        case .lineTooLong: .broken("answers without end", after: points)
        }
    }
}
