import FoundationEssentials
package import RegistrarEvents

/// A stream to feed a consumer with, and what the consumer must hold at its quiet points.
///
/// As text it is JSON, one array `[method, body]` a line: `event` and whatever else is sent as it stands, and
/// `expect`, which is not sent.
package struct Recording: Sendable {
    package enum Step: Sendable, Hashable {
        /// A line for the consumer.
        case send(String)
        case expect(Expectation)
    }

    /// What a consumer says at a quiet point.
    package struct Expectation: Sendable, Hashable {
        /// What has happened since the one before, for people.
        package let name: String
        package let domain: String
        package let position: Position
        /// Whether nothing is missing; nil where a consumer may think either.
        package let isWhole: Bool?
        /// As `rollcall contacts --json` lists them; nil where nobody can know.
        package let contacts: [[String: JSONValue]]?

        package init(
            name: String, domain: String, position: Position, isWhole: Bool?, contacts: [[String: JSONValue]]?
        ) {
            self.name = name
            self.domain = domain
            self.position = position
            self.isWhole = isWhole
            self.contacts = contacts
        }
    }

    package var steps: [Step] = []

    package init() {}

    /// Reads a recording.
    /// - Throws: `Malformed` with the number of the first line that is not of one.
    package init(parsing text: String) throws(Malformed) {
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.allSatisfy(\.isWhitespace) { continue }
            steps.append(try Self.step(String(line), number: index + 1))
        }
    }

    package struct Malformed: Error, Hashable, CustomStringConvertible {
        package let line: Int
        package let expected: String

        package var description: String { "\(line): expected \(expected)" }
    }

    /// Most brackets within brackets of a line.
    static let maximumDepth = 16

    private static func step(_ line: String, number: Int) throws(Malformed) -> Step {
        let value: JSONValue
        do {
            value = try JSONValue(parsing: line.utf8, maximumDepth: maximumDepth)
        } catch {
            throw Malformed(line: number, expected: "a line of JSON; it \(error)")
        }
        guard let list = value.array, list.count == 2, let method = list[0].text, let body = list[1].object else {
            throw Malformed(line: number, expected: #"["method", {…}]"#)
        }
        guard method == "expect" else { return .send(line) }
        guard let expectation = Expectation(body) else {
            throw Malformed(
                line: number, expected: "name, domain, position {epoch, seq}, and perhaps whole and contacts")
        }
        return .expect(expectation)
    }

    /// The recording's lines.
    package var lines: [String] {
        steps.map { step in
            switch step {
            case .send(let line): line
            case .expect(let expectation): JSONLine.text("expect", expectation.json)
            }
        }
    }
}

extension Recording.Expectation {
    init?(_ body: [String: JSONValue]) {
        guard let name = body["name"]?.text, let domain = body["domain"]?.text,
            let position = Position(body["position"]?.object ?? [:])
        else { return nil }
        self.init(
            name: name, domain: domain, position: position, isWhole: body["whole"]?.boolean,
            contacts: body["contacts"]?.array?.compactMap(\.object))
    }

    var json: [String: JSONValue] {
        var body: [String: JSONValue] = [
            "name": .string(name), "domain": .string(domain),
            "position": .object([
                "epoch": .integer(Int64(position.epoch)), "seq": .integer(Int64(position.seq)),
            ]),
        ]
        if let isWhole { body["whole"] = .boolean(isWhole) }
        if let contacts { body["contacts"] = .array(contacts.map(JSONValue.object)) }
        return body
    }
}

extension Position {
    /// Of `{"epoch":…,"seq":…}`.
    init?(_ object: [String: JSONValue]) {
        guard let epoch = object["epoch"]?.integer, let seq = object["seq"]?.integer, epoch >= 0, seq >= 0 else {
            return nil
        }
        self.init(epoch: UInt64(epoch), seq: UInt64(seq))
    }
}

/// `[method, body]` on one line.
enum JSONLine {
    static func text(_ method: String, _ body: [String: JSONValue]) -> String {
        var json = JSONWriter()
        json.value(.array([.string(method), .object(body)]))
        return String(decoding: json.bytes, as: UTF8.self)
    }

    /// The same with everything beyond ASCII as `\u` escapes, which mean the same.
    static func escaped(_ text: String) -> String {
        text.utf16.map { unit in
            if unit < 128 { return String(UnicodeScalar(UInt8(unit))) }
            let digits = String(unit, radix: 16)
            return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }.joined()
    }
}
