import Filtering
import Foundation
import RegistrarEvents
import Testing

@testable import WSSubscrActor

/// What filters and masks see of an event is what the event says.
struct EventViewTests {
    private static let user = Registration(
        account: "u1", contact: "c1",
        user: UserDetails(sessionID: "s", app: "a\"pp", caps: ["x", "y"], peerAddress: "::1", peerPort: 7))
    private static let phone = Registration(
        account: "1001", contact: "desk",
        sipuser: SIPUserDetails(
            login: "1001", contactURI: "sip:1001@192.0.2.1", instanceID: "<urn:uuid:1>", regID: 2, parameters: "q=0.5",
            userAgent: "ua", transport: "tls", path: ["<sip:p1>", "<sip:p2>"], callID: "call", cseq: 9,
            peerAddress: "192.0.2.1", peerPort: 5061))

    private func views() throws -> [EventView] {
        try [Self.user, Self.phone].flatMap { registration in
            let contact = try #require(PackedContact(registration))
            let changes: [LogEntry.Change] = [
                .registered(contact, ttl: 1_001, replay: false), .unregistered(contact, .expiredContact),
            ]
            return changes.compactMap { EventView(LogEntry(seq: 3, timestamp: 4, change: $0), registration) }
        }
    }

    private func parse(_ tail: [UInt8]) throws -> JSONValue {
        try JSONValue(parsing: Array("{".utf8) + tail.dropLast(), maximumDepth: 8)
    }

    @Test func propertiesAreTheMembersOfTheEvent() throws {
        for view in try views() {
            let event = try parse(view.tail(keeping: nil, domain: demo, epoch: 1)).object?["event"]?.object
            let data = try #require(event?["data"]?.object)
            for property in EventProperty.allCases {
                let expected = property == .type ? event?["type"] : data[property.rawValue]
                #expect(view.value(of: property) == expected ?? .null, "\(property)")
            }
            let known = Set(EventProperty.allCases.map(\.rawValue))
            #expect(known.isSuperset(of: data.keys))
        }
    }

    @Test func maskedEventsDifferInTheirDataOnly() throws {
        let all = try Mask<EventProperty>(.array(EventProperty.allCases.map { .string($0.rawValue) }))
        let some = try Mask<EventProperty>("user_id,data.path,ttl")
        for view in try views() {
            let whole = try parse(view.tail(keeping: nil, domain: demo, epoch: 1))
            #expect(try parse(view.tail(keeping: all, domain: demo, epoch: 1)) == whole)
            let masked = try parse(view.tail(keeping: some, domain: demo, epoch: 1))
            let names = Set(masked.object?["event"]?.object?["data"]?.object?.keys.map { $0 } ?? [])
            #expect(names.isSubset(of: ["user_id", "path", "ttl"]) && !names.isEmpty)
            #expect(masked.object?["seq"] == 3 && masked.object?["event"]?.object?["eventts"] == 4)
        }
    }
}
