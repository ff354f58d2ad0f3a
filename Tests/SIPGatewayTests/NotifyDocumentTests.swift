import RegistrarEvents
import Testing

@testable import SIPGateway

/// The document that watchers are sent (RFC 3680 section 5).
@Suite struct NotifyDocumentTests {
    private let first = "Contact: <sip:alice@192.0.2.1>"

    @Test func whatDevicesSayOfThemselvesIsInTheDocument() throws {
        var (test, _, phone) = try watched()
        let contact =
            first + ";+sip.instance=\"<urn:uuid:1>\";reg-id=2;q=0.25;audio;+g.x=\"<a> & 'b'\";expires=100"
        let notify = try notified(&test, by: phone.register(contact, "Supported: outbound"))
        #expect(notify.contacts[0].attributes["q"] == "0.25")
        #expect(
            notify.contacts[0].parameters
                == ["+sip.instance": "\"<urn:uuid:1>\"", "reg-id": "2", "audio": "", "+g.x": "\"<a> & 'b'\""])
        #expect(notify.contacts[0].gruu == "sip:alice@demo.example;gr=urn:uuid:1")
    }

    @Test func whatComesFromElsewhereCannotBreakTheDocument() throws {
        var (test, _, _) = try watched()
        let details = SIPUserDetails(
            contactURI: "sip:a\"<&>@x.example;p=\u{FFFF}\u{1}", parameters: "no parameters; at \"all", callID: "<\"&>")
        try test.put(Registration(account: "alice", contact: "\"/><x", sipuser: details))
        let notify = try Notification(try #require(test.takeSent().first?.answer))
        #expect(notify.contacts.map(\.id) == ["\"/><x"])
        #expect(notify.contacts[0].uri == "sip:a\"<&>@x.example;p=  ")
        #expect(notify.contacts[0].attributes["callid"] == "<\"&>" && notify.contacts[0].parameters.isEmpty)
    }

    /// A datagram could not hold all that a device may say of itself, once it is escaped.
    @Test func ofAContactThatIsTooLargeTheAddressIsTold() throws {
        var (test, _, _) = try watched()
        let details = SIPUserDetails(
            contactURI: "sip:a@h", parameters: "x=\"" + String(repeating: "&", count: 12_000) + "\"",
            callID: String(repeating: "<", count: 2_000))
        try test.put(Registration(account: "alice", contact: "c", sipuser: details))
        let message = try #require(test.takeSent().first?.answer)
        #expect(message.bytes.count < 2_000)
        let notify = try Notification(message)
        #expect(notify.events == ["registered sip:a@h"] && notify.contacts[0].parameters.isEmpty)
    }

    @Test func whatDoesNotFitFollowsInTheNext() throws {
        var test = try TestRegistrar(devices: 100)
        for number in 0..<100 {
            let uri = "sip:alice@192.0.2.3;line=\(number);x=" + String(repeating: "x", count: 800)
            try test.put(Registration(account: "alice", contact: uri, sipuser: SIPUserDetails(contactURI: uri)))
        }
        var watcher = try TestWatcher()
        var sent = try test.receive(watcher.request(expires: 0))
        #expect(sent.removeFirst().status == 200)
        var notifications: [Notification] = []
        while let message = sent.first, notifications.count < 10 {
            #expect(sent.count == 1 && message.bytes.count < 50 << 10)
            let notify = try Notification(message)
            notifications.append(notify)
            sent = try test.receive(notify.response())
        }
        #expect(notifications.map(\.version) == Array(0..<notifications.count))
        #expect(notifications.map(\.scope) == ["full"] + notifications.dropFirst().map { _ in "partial" })
        #expect(notifications.count == 4 && notifications.dropLast().allSatisfy { $0.subscription.hasPrefix("active") })
        #expect(notifications.last?.subscription == "terminated;reason=timeout")
        #expect(Set(notifications.flatMap { $0.contacts.map(\.uri) }).count == 100)
        #expect(test.counters.statistics.watchers == 0)
    }
}
