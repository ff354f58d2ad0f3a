import AccessTokens
import ClusterRuntime
import Foundation
import RegistrarEvents
import Testing
import Yams

@testable import WebSocketGateway

/// `docs/asyncapi.yaml` and the tables of `docs/websocket.md` say what the code does, all of it and no more.
/// What a cluster really says is held to the file by `Tests/subscribers/isolation.py`.
@Suite struct AsyncAPITests {
    private typealias Object = [String: Any]

    private let document: Object

    init() throws { document = try #require(try Yams.load(yaml: Self.text("docs/asyncapi.yaml")) as? Object) }

    private static func text(_ path: String) throws -> String {
        let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")
        return try String(contentsOf: repository.appendingPathComponent(path), encoding: .utf8)
    }

    private func components(_ kind: String) throws -> [String: Object] {
        try #require((document["components"] as? Object)?[kind] as? [String: Object])
    }

    private func schema(_ name: String) throws -> Object { try #require(try components("schemas")[name]) }

    /// The first element of a message: its method, or the form of methods that there are not.
    private static func method(of message: Object) throws -> String {
        let items = (message["payload"] as? Object)?["items"] as? [Object]
        return try #require(items?.first?["const"] as? String ?? items?.first?["pattern"] as? String)
    }

    private func words(of schema: String) throws -> [String] {
        try #require(try self.schema(schema)["enum"] as? [String])
    }

    @Test func everyMethodIsThere() throws {
        let methods = Conversation.Method.allCases.map(\.rawValue)
        let expected = methods + methods.map { $0 + "_result" } + ["event", "synced", "error", "_result$"]
        let messages = try components("messages")
        #expect(try messages.values.map(Self.method).sorted() == expected.sorted())

        // Each channel has all of them.
        let channels = try #require(document["channels"] as? [String: Object])
        for channel in channels.values {
            #expect(Set(try #require(channel["messages"] as? Object).keys) == Set(messages.keys))
        }
        // A service is logged in from the start.
        let taken = ["user": methods, "service": methods.filter { $0 != "setup" && $0 != "login" }]
        #expect(Set(channels.keys) == Set(taken.keys))
        for (channel, methods) in taken { try expectOperations(on: channel, taking: methods) }
    }

    /// Each operation of a channel answers what it takes, all of it and with messages of that channel.
    private func expectOperations(on channel: String, taking methods: [String]) throws {
        let messages = try components("messages")
        let place = "#/channels/\(channel)"
        func named(by operation: Object) throws -> [String] {
            let own = (operation["channel"] as? [String: String])?["$ref"]
            #expect(own == place)
            return try #require(operation["messages"] as? [[String: String]]).map { reference in
                let target = try #require(reference["$ref"])
                #expect(target.hasPrefix("\(place)/messages/"))
                let name = try #require(target.split(separator: "/").last)
                return try Self.method(of: try #require(messages[String(name)]))
            }
        }
        let operations = try #require(document["operations"] as? [String: Object]).values.filter { operation in
            (operation["channel"] as? [String: String])?["$ref"] == place
        }
        let taken = try operations.filter { $0["action"] as? String == "receive" }.map { operation in
            let asked = try named(by: operation)
            #expect(try named(by: try #require(operation["reply"] as? Object)) == asked.map { $0 + "_result" })
            return asked
        }
        #expect(taken.flatMap(\.self).sorted() == methods.sorted(), "\(channel)")
        let sent = try operations.filter { $0["action"] as? String == "send" }.flatMap(named)
        #expect(sent.sorted() == ["_result$", "error", "event", "synced"], "\(channel)")
    }

    /// Every event that the code writes, with the members of its `data`.
    private static func events() throws -> [(type: String, data: Set<String>)] {
        let contacts = [
            Registration(account: "a", contact: "c", user: UserDetails(sessionID: "s", app: "", caps: [])),
            Registration(account: "a", contact: "c", sipuser: SIPUserDetails(login: "a", contactURI: "sip:a@b")),
        ].compactMap { PackedContact($0) }
        #expect(contacts.count == AccountKind.allCases.count)
        let changes: [LogEntry.Change] =
            contacts.map { .registered($0, ttl: 1_000, replay: false) }
            + contacts.map { .unregistered($0, .expiredContact) } + [.clear(.restart)]
        return try changes.map { change in
            let event = try event(
                EventJSON.tail(of: LogEntry(seq: 1, timestamp: 1, change: change), domain: demo, epoch: 1))
            return (
                try #require(event["type"] as? String), Set(try #require(event["data"] as? Object).keys)
            )
        }
    }

    private static func event(_ tail: [UInt8]) throws -> Object {
        let bytes = Data(EventJSON.head(id: Array("1".utf8)) + tail)
        let message = try #require(try JSONSerialization.jsonObject(with: bytes) as? [Any])
        return try #require((message[1] as? Object)?["event"] as? Object)
    }

    @Test func everyEventIsThereWithItsData() throws {
        let events = try Self.events()
        let listed = try #require(try schema("event")["oneOf"] as? [[String: String]])
            .compactMap { $0["$ref"]?.split(separator: "/").last.map(String.init) }
        #expect(listed.sorted() == (events.map(\.type) + ["data_changed"]).sorted())
        for (type, data) in events {
            let properties = try #require(try schema(type)["properties"] as? [String: Object], "\(type)")
            #expect(properties["type"]?["const"] as? String == type)
            #expect(properties["class"]?["const"] as? String == EventClass.registrarEvents.rawValue)
            let described = try #require(properties["data"])
            #expect(Set(try #require(described["required"] as? [String])) == data, "\(type)")
            #expect(Set(try #require(described["properties"] as? Object).keys) == data, "\(type)")
        }
    }

    @Test func noticesOfStatesAreThere() throws {
        let event = try Self.event(
            EventJSON.tail(
                of: AccountState(AccountID(.sipuser, "a"), isOnline: true), .changed, domain: demo,
                position: Position(epoch: 1, seq: 1), timestamp: 1))
        let properties = try #require(try schema("data_changed")["properties"] as? [String: Object])
        #expect(properties["class"]?["const"] as? String == event["class"] as? String)
        #expect(properties["type"]?["const"] as? String == event["type"] as? String)
        let data = try #require(event["data"] as? Object)
        #expect(Set(try #require(properties["data"]?["properties"] as? Object).keys) == Set(data.keys))
        let views = (properties["data"]?["properties"] as? [String: Object])?["eclass"]?["enum"] as? [String]
        #expect(views == AccountKind.allCases.map(\.statesView))
        let entity = try #require(data["entity"] as? Object)
        #expect(Set(try #require(try schema("accountState")["properties"] as? Object).keys) == Set(entity.keys))
    }

    @Test func everyReasonAndCodeIsThere() throws {
        #expect(try words(of: "clearReason") == ClearReason.allCases.map(\.name))
        #expect(try words(of: "unregisterReason") == UnregisterReason.allCases.map(\.name))
        let codes = ReplyError.Code.allCases.map(\.rawValue)
        #expect(try schema("errorCode")["enum"] as? [Int] == codes)

        let page = try Self.text("docs/websocket.md")
        #expect(page.matches(of: #/(?m)^\| (\d{3}) \|/#).compactMap { Int($0.1) } == codes)
        for word in ClearReason.allCases.map(\.name) + UnregisterReason.allCases.map(\.name) {
            #expect(page.contains("`\(word)`"), "docs/websocket.md does not say \(word)")
        }
        for (type, data) in try Self.events() {
            let row = try #require(
                page.split(separator: "\n").first { $0.hasPrefix("| `\(type)`") },
                "docs/websocket.md has no row for \(type)")
            // The second of each pair says "the same" and what differs.
            guard !row.contains("the same") else { continue }
            for name in data { #expect(row.contains(name), "docs/websocket.md: \(type) without \(name)") }
        }
    }

    @Test func everyMethodIsInTheText() throws {
        let page = try Self.text("docs/websocket.md")
        for method in Conversation.Method.allCases {
            #expect(page.contains(#"["\#(method.rawValue)","#), "docs/websocket.md shows no \(method.rawValue)")
        }
    }

    @Test func everyReferenceLeadsSomewhere() throws {
        var references: Set<String> = []
        func collect(_ value: Any) {
            switch value {
            case let object as Object:
                if let reference = object["$ref"] as? String { references.insert(reference) }
                object.values.forEach(collect)
            case let list as [Any]: list.forEach(collect)
            default: break
            }
        }
        collect(document)
        #expect(references.count > 20)
        for reference in references {
            var place: Any? = document
            for part in reference.split(separator: "/").dropFirst() { place = (place as? Object)?[String(part)] }
            #expect(place != nil, "\(reference) leads nowhere")
        }
    }
}
