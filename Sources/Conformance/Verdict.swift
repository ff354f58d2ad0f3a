package import RegistrarEvents

/// What a consumer said at a quiet point, held against what it should have.
package struct Verdict: Sendable, Hashable {
    /// Of the quiet point.
    package let name: String
    /// How many contacts the consumer should hold; nil where nobody can know.
    package let contacts: Int?
    /// What is wrong; empty when nothing is.
    package let findings: [String]

    package var isGood: Bool { findings.isEmpty }

    /// Most contacts that are named of each sort of finding.
    private static let named = 3

    /// - Parameter answer: the body of `state_result`. It must have `contacts`; `position` and `whole` are looked at
    ///   where a consumer says them, and so are the members of a contact beyond those that identify it.
    package init(on answer: [String: JSONValue], expected: Recording.Expectation) {
        name = expected.name
        contacts = expected.contacts?.count
        var findings: [String] = []
        if let said = answer["position"] {
            let position = said.object.flatMap { Position($0) }
            if position != expected.position {
                findings.append("stands at \(position?.description ?? "no position"), expected \(expected.position)")
            }
        }
        if let whole = expected.isWhole, let said = answer["whole"], said != .boolean(whole) {
            findings.append(whole ? "thinks that something is missing" : "does not know that something is missing")
        }
        if let listed = answer["contacts"]?.array {
            if let contacts = expected.contacts { findings += Self.compare(listed, with: contacts) }
        } else {
            findings.append("answers without an array `contacts`")
        }
        self.findings = findings
    }

    init(name: String, findings: [String]) {
        self.name = name
        contacts = nil
        self.findings = findings
    }

    private static func compare(_ listed: [JSONValue], with expected: [[String: JSONValue]]) -> [String] {
        var held: [ContactName: [String: JSONValue]] = [:]
        var findings: [String] = []
        for value in listed {
            guard let contact = value.object, let name = ContactName(contact) else {
                findings.append("lists something without kind, account and contact_id")
                continue
            }
            if held.updateValue(contact, forKey: name) != nil { findings.append("lists \(name) twice") }
        }
        var missing: [ContactName] = []
        for contact in expected {
            guard let name = ContactName(contact) else { continue }
            guard let said = held.removeValue(forKey: name) else {
                missing.append(name)
                continue
            }
            for member in contact.keys.sorted() where said[member] != nil && said[member] != contact[member] {
                findings.append("holds another `\(member)` of \(name)")
            }
        }
        if !missing.isEmpty { findings.append("lacks \(Self.some(of: missing))") }
        if !held.isEmpty { findings.append("holds \(Self.some(of: Array(held.keys))), which should not be there") }
        return findings
    }

    private static func some(of names: [ContactName]) -> String {
        let sorted = names.map(\.description).sorted()
        let rest = sorted.count - named
        return sorted.prefix(named).joined(separator: ", ") + (rest > 0 ? " and \(rest) more" : "")
    }
}
