import Foundation
import FoundationXML
import RegistrarEvents
import SIP
import Testing

@testable import SIPGateway

/// A watcher's side of a subscription.
struct TestWatcher {
    private(set) var phone: Phone
    /// The gateway's tag, once there is a dialog.
    private(set) var tag: String?
    var route: Route
    var contact = "Contact: <sip:watcher@192.0.2.1:5060>"

    init(account: String = "alice", callID: String = "watch-1@phone", route: Route? = nil) throws {
        phone = Phone(account: account, callID: callID)
        self.route = try route ?? TestRegistrar.route()
    }

    mutating func request(
        expires: Int? = nil, event: String = "reg", uri: String? = nil, cseq: UInt32? = nil, _ headers: [String] = []
    ) -> String {
        let own = ["Event: \(event)", contact] + (expires.map { ["Expires: \($0)"] } ?? [])
        return phone.request(
            "SUBSCRIBE", uri: uri ?? (tag == nil ? "sip:\(phone.account)@demo.example" : "sip:192.0.2.100:5060"),
            toTag: tag, cseq: cseq, own + headers)
    }

    /// Sends a SUBSCRIBE that is answered 200, and answers the NOTIFY that follows.
    /// - Returns: both.
    @discardableResult
    mutating func subscribe(
        _ test: inout TestRegistrar, expires: Int? = nil, event: String = "reg", _ headers: [String] = []
    ) throws -> (answer: Answer, notify: Notification) {
        let sent = try test.receive(request(expires: expires, event: event, headers), from: route)
        try #require(sent.map(\.status) == [200, 0], "\(sent.map(\.reason))")
        tag = try sent[0].toTag
        let notify = try Notification(sent[1])
        #expect(try test.receive(notify.response(), from: route).isEmpty)
        return (sent[0], notify)
    }

    /// The dialog of a SUBSCRIBE that was sent in another way.
    mutating func take(_ answer: Answer) throws { tag = try answer.toTag }
}

/// A NOTIFY, and the document in it.
struct Notification {
    let message: Answer
    let version: Int
    let scope: String
    let addressOfRecord: String
    /// Of the registration.
    let state: String
    let contacts: [Contact]

    struct Contact: Equatable {
        let id: String
        let state: String
        let event: String
        let uri: String
        let attributes: [String: String]
        let parameters: [String: String]
        let gruu: String?
    }

    init(_ message: Answer) throws {
        try #require(message.message.method == .notify)
        #expect(message[.contentType] == "application/reginfo+xml")
        #expect(throws: Never.self) { try message.message.essentials() }
        self.message = message
        let root = try #require(XMLTree.parse(message.message.body.bytes))
        try #require(root.name == "reginfo" && root.attributes["xmlns"] == "urn:ietf:params:xml:ns:reginfo")
        version = try #require(root.attributes["version"].flatMap { Int($0) })
        scope = try #require(root.attributes["state"])
        try #require(root.children.map(\.name) == ["registration"])
        let registration = root.children[0]
        addressOfRecord = try #require(registration.attributes["aor"])
        state = try #require(registration.attributes["state"])
        contacts = try registration.children.map(Contact.init)
    }

    /// `EVENT URI` of each contact.
    var events: [String] { contacts.map { "\($0.event) \($0.uri)" } }

    var subscription: String { message[.subscriptionState] ?? "" }

    func response(_ status: Int = 200, _ header: (name: StaticString, value: String)? = nil) -> [UInt8] {
        var writer = ResponseWriter(status, to: message.message)
        if let header { writer.header(header.name, header.value) }
        return writer.finish()
    }
}

extension Notification.Contact {
    fileprivate init(_ element: XMLTree) throws {
        try #require(element.name == "contact")
        id = try #require(element.attributes["id"])
        state = try #require(element.attributes["state"])
        event = try #require(element.attributes["event"])
        attributes = element.attributes.filter { !["id", "state", "event"].contains($0.key) }
        let first = try #require(element.children.first)
        try #require(first.name == "uri")
        uri = first.text
        var parameters: [String: String] = [:]
        for child in element.children where child.name == "unknown-param" {
            parameters[child.attributes["name"] ?? ""] = child.text
        }
        self.parameters = parameters
        gruu = element.children.first { $0.name == "gr:pub-gruu" }?.attributes["uri"]
    }
}

/// An element of a document, as the system's parser reads it.
private struct XMLTree {
    let name: String
    let attributes: [String: String]
    var text = ""
    var children: [XMLTree] = []

    private final class Reader: NSObject, XMLParserDelegate {
        var open = [XMLTree(name: "", attributes: [:])]

        func parser(
            _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
            attributes: [String: String]
        ) { open.append(XMLTree(name: name, attributes: attributes)) }

        func parser(_ parser: XMLParser, foundCharacters text: String) { open[open.count - 1].text += text }

        func parser(_ parser: XMLParser, didEndElement: String, namespaceURI: String?, qualifiedName: String?) {
            let element = open.removeLast()
            open[open.count - 1].children.append(element)
        }
    }

    /// - Returns: the root; nil when the document is not well formed.
    static func parse(_ bytes: ArraySlice<UInt8>) -> XMLTree? {
        let parser = XMLParser(data: Data(bytes))
        let reader = Reader()
        parser.delegate = reader
        return parser.parse() ? reader.open.first?.children.first : nil
    }
}
