import Foundation
import RegistrarEvents
import Testing

/// The hand-written writer against Foundation's parser.
struct EventJSONTests {
    private let domain: DomainName
    private static let nasty = "q\"b\\s/n\nr\rt\tb\u{8}nul\u{0}é😀\u{2028}"

    init() throws { domain = try #require(DomainName("demo.example")) }

    private func parse(_ entry: LogEntry, id: String = "7") throws -> (envelope: [String: Any], json: String) {
        let bytes = EventJSON.head(id: Array(id.utf8)) + (try EventJSON.tail(of: entry, domain: domain, epoch: 9))
        let message = try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [Any])
        #expect(message.count == 2)
        #expect(message[0] as? String == "event")
        return (try #require(message[1] as? [String: Any]), String(decoding: bytes, as: UTF8.self))
    }

    /// Whether both are the same JSON.
    private func equal(_ found: Any?, _ expected: [String: Any]) throws -> Bool {
        func text(_ value: Any) throws -> Data {
            try JSONSerialization.data(withJSONObject: value, options: .sortedKeys)
        }
        return try text(try #require(found)) == text(expected)
    }

    @Test func userEventHasTheDocumentedFields() throws {
        let details = UserDetails(
            sessionID: "s1", app: Self.nasty, caps: ["subscr", Self.nasty], peerAddress: "::1", peerPort: 65535)
        let contact = try #require(PackedContact(Registration(account: "u1", contact: "c1", user: details)))
        let data: [String: Any] = [
            "user_id": "u1", "ttl": 121, "connection_id": "c1", "session_id": "s1", "app": Self.nasty,
            "caps": ["subscr", Self.nasty], "peer_address": "::1", "peer_port": 65535,
        ]
        let entry = LogEntry(
            seq: 42, timestamp: 1_700_000_000_123, change: .registered(contact, ttl: 120_001, replay: false))
        let (envelope, json) = try parse(entry, id: "\"a\"")
        #expect(
            try equal(
                envelope,
                [
                    "id": "a", "domain": "demo.example", "epoch": 9, "seq": 42,
                    "event": [
                        "class": "registrarevents", "type": "user_registered", "data": data,
                        "eventts": 1_700_000_000_123,
                    ],
                ]))
        #expect(!json.contains("replay"))
        var ended = data
        ended["ttl"] = nil
        ended["reason"] = "expired_contact"
        let over = LogEntry(seq: 43, timestamp: -1, change: .unregistered(contact, .expiredContact))
        let event = try parse(over).envelope["event"] as? [String: Any]
        #expect(event?["type"] as? String == "user_unregistered")
        #expect(event?["eventts"] as? Int == -1)
        #expect(try equal(event?["data"], ended))
    }

    @Test func sipuserEventHasTheDocumentedFields() throws {
        let details = SIPUserDetails(
            login: "1001", contactURI: "sip:1001@10.0.0.1;x=\"y\"", instanceID: "<urn:uuid:1>", regID: 2,
            parameters: "q=0.5", userAgent: "Phone/1",
            transport: "udp", path: ["<sip:p1;lr>", "<sip:p2;lr>"], callID: "call@1", cseq: .max,
            peerAddress: "10.0.0.1", peerPort: 5060)
        let contact = try #require(PackedContact(Registration(account: "a1", contact: "k1", sipuser: details)))
        let data: [String: Any] = [
            "sipuser_id": "a1", "login": "1001", "ttl": 1, "contact_id": "k1",
            "contact_uri": "sip:1001@10.0.0.1;x=\"y\"", "instance_id": "<urn:uuid:1>", "reg_id": 2,
            "contact_params": "q=0.5", "user_agent": "Phone/1",
            "transport": "udp", "path": ["<sip:p1;lr>", "<sip:p2;lr>"], "call_id": "call@1",
            "cseq": UInt32.max, "peer_address": "10.0.0.1", "peer_port": 5060,
        ]
        let entry = LogEntry(seq: .max, timestamp: 0, change: .registered(contact, ttl: 1, replay: true))
        let (envelope, _) = try parse(entry)
        #expect(envelope["replay"] as? Bool == true)
        #expect(envelope["seq"] as? UInt64 == .max)
        let event = envelope["event"] as? [String: Any]
        #expect(event?["type"] as? String == "sipuser_registered")
        #expect(try equal(event?["data"], data))
    }

    @Test(arguments: ClearReason.allCases) func clearSaysWhy(_ reason: ClearReason) throws {
        let event = try parse(LogEntry(seq: 1, timestamp: 5, change: .clear(reason))).envelope["event"]
        #expect(
            try equal(
                event,
                ["class": "registrarevents", "type": "clear", "data": ["reason": reason.name], "eventts": 5]))
    }

    @Test(arguments: UnregisterReason.allCases) func unregisteredSaysWhy(_ reason: UnregisterReason) throws {
        let contact = try #require(PackedContact(Registration(account: "u", contact: "c", user: UserDetails())))
        let event = try parse(LogEntry(seq: 1, timestamp: 5, change: .unregistered(contact, reason))).envelope["event"]
        #expect(((event as? [String: Any])?["data"] as? [String: Any])?["reason"] as? String == reason.name)
    }

    @Test func everyUnicodeScalarBelow0x300Survives() throws {
        let text = String(String.UnicodeScalarView((0..<0x300).compactMap { Unicode.Scalar($0) }))
        var json = JSONWriter()
        json.strings([text])
        let parsed = try JSONSerialization.jsonObject(with: Data(json.bytes)) as? [String]
        #expect(parsed == [text])
    }

    @Test func numbersAreWrittenInFull() {
        var json = JSONWriter()
        json.integer(.min)
        json.raw(" ")
        json.unsigned(.max)
        json.raw(" ")
        json.unsigned(0)
        json.raw(" ")
        json.boolean(false)
        #expect(String(decoding: json.bytes, as: UTF8.self) == "-9223372036854775808 18446744073709551615 0 false")
    }
}
