import ClusterRuntime
import RegistrarEvents
import SIP
import Testing

@testable import SIPGateway

/// What a REGISTER does and is answered. Source: RFC 3261 section 10.3.
@Suite struct RegisterTests {
    private let desk = "Contact: <sip:alice@192.0.2.1>;expires=120"

    @Test func fetchingNamesWhatIsThereAndChangesNothing() throws {
        var test = try TestRegistrar()
        var phone = Phone()
        let empty = try test.answer(phone.register())
        #expect((empty.status, empty.all(.contact)) == (200, []))
        #expect(empty[.date] != nil)
        try test.receive(phone.register(desk))
        let full = try test.answer(phone.register())
        #expect(try full.grants == ["sip:alice@192.0.2.1": 120])
        #expect(test.registered == 1)
    }

    @Test func addingRefreshingAndRemovingAreAnsweredWithWhatIsLeft() throws {
        var test = try TestRegistrar()
        var phone = Phone()
        let added = try test.answer(phone.register(desk))
        #expect(try (added.status, added.grants) == (200, ["sip:alice@192.0.2.1": 120]))
        test.advance(.seconds(30))
        let other = try test.answer(phone.register("Contact: <sip:alice@192.0.2.2>", "Expires: 200"))
        #expect(try other.grants == ["sip:alice@192.0.2.1": 90, "sip:alice@192.0.2.2": 200])
        let refreshed = try test.answer(phone.register(desk))
        #expect(try refreshed.grants["sip:alice@192.0.2.1"] == 120)
        let removed = try test.answer(phone.register("Contact: <sip:alice@192.0.2.1>;expires=0"))
        #expect(try removed.contacts == ["sip:alice@192.0.2.2"])
        let again = try test.answer(phone.register("Contact: <sip:alice@192.0.2.1>", "Expires: 0"))
        #expect(try (again.status, again.contacts) == (200, ["sip:alice@192.0.2.2"]))
    }

    @Test func aContactIsTheSameInAnotherSpelling() throws {
        var test = try TestRegistrar()
        var phone = Phone()
        try test.receive(phone.register("Contact: <sip:%61lice@PHONE.example;Line=1;ob>;expires=120"))
        let answer = try test.answer(phone.register("Contact: <sip:alice@phone.example;ob;line=1>;expires=120"))
        #expect(answer.all(.contact).count == 1)
    }

    @Test func whatTheDeviceSaysOfItselfIsRepeated() throws {
        var test = try TestRegistrar()
        var phone = Phone()
        let contact = "Contact: \"Desk\" <sip:alice@192.0.2.1>;q=0.7;audio;description=\"a \\\"b\\\"\";expires=120"
        let answer = try test.answer(phone.register(contact))
        let line = try #require(answer[.contact])
        #expect(line.contains(";q=0.7;audio;description=\"a \\\"b\\\"\";expires=120"), "\(line)")
        var fetch = Phone(callID: "fetch")
        #expect(try test.answer(fetch.register())[.contact] == line)
    }

    @Test func theStarEndsAllContactsAndGoesAlone() throws {
        var test = try TestRegistrar()
        var phone = Phone()
        try test.receive(phone.register(desk, "Contact: <sip:alice@192.0.2.2>;expires=120"))
        var bob = Phone(account: "bob", callID: "bob")
        try test.receive(bob.register("Contact: <sip:bob@192.0.2.9>"))
        for headers in [
            ["Contact: *"], ["Contact: *", "Expires: 1"], ["Contact: *, <sip:alice@192.0.2.1>", "Expires: 0"],
            ["Contact: *", "Contact: *", "Expires: 0"],
        ] {
            #expect(try test.answer(phone.register(headers)).status == 400, "\(headers)")
        }
        #expect(test.registered == 3)
        let answer = try test.answer(phone.register("Contact: *", "Expires: 0"))
        #expect((answer.status, answer.all(.contact)) == (200, []))
        #expect(try test.answer(bob.register()).contacts == ["sip:bob@192.0.2.9"])
    }

    @Test func severalContactsAreTakenTogetherOrNotAtAll() throws {
        var test = try TestRegistrar(devices: 2)
        var phone = Phone()
        let both = try test.answer(phone.register(desk + ", <sip:alice@192.0.2.2>;expires=240"))
        #expect(try both.grants == ["sip:alice@192.0.2.1": 120, "sip:alice@192.0.2.2": 240])
        let short = try test.answer(
            phone.register("Contact: <sip:alice@192.0.2.1>;expires=0, <sip:alice@192.0.2.3>;expires=59"))
        #expect(short.status == 423)
        let malformed = try test.answer(
            phone.register("Contact: <sip:alice@192.0.2.1>;expires=0", "Contact: <sip:alice@[::>"))
        #expect(malformed.status == 400)
        #expect(test.registered == 2)
        let swapped = try test.answer(
            phone.register("Contact: <sip:alice@192.0.2.1>;expires=0, <sip:alice@192.0.2.3>;expires=120"))
        #expect(try swapped.contacts == ["sip:alice@192.0.2.2", "sip:alice@192.0.2.3"])
    }

    @Test func moreContactsThanABindingMayHaveAreRefused() throws {
        var test = try TestRegistrar(devices: 100)
        var phone = Phone()
        func contacts(_ count: Int) -> [String] { (0..<count).map { "Contact: <sip:alice@192.0.2.1:\(6_000 + $0)>" } }
        #expect(try test.answer(phone.register(contacts(Binding.maximumChanges + 1))).status == 400)
        #expect(try test.answer(phone.register(contacts(Binding.maximumChanges))).status == 200)
    }

    @Test func anIntervalThatIsTooBriefIsRefusedWithTheLeast() throws {
        var test = try TestRegistrar(minimumExpires: .milliseconds(60_500))
        var phone = Phone()
        let brief = try test.answer(phone.register("Contact: <sip:alice@192.0.2.1>;expires=60"))
        #expect((brief.status, brief[.minExpires]) == (423, "61"))
        let header = try test.answer(phone.register("Contact: <sip:alice@192.0.2.1>", "Expires: 1"))
        #expect((header.status, header[.minExpires]) == (423, "61"))
        #expect(try test.answer(phone.register("Contact: <sip:alice@192.0.2.1>;expires=61")).status == 200)
    }

    @Test func whoSaysNothingIsGrantedTheLeastWhereThatIsLong() throws {
        var test = try TestRegistrar(minimumExpires: .seconds(7_200))
        var phone = Phone()
        try test.receive(phone.register("Contact: <sip:alice@192.0.2.1>"))
        guard case .bind(let binding)? = test.asked.first, case .put(_, let ttl)? = binding.changes.first else {
            Issue.record("nothing was asked for")
            return
        }
        #expect(ttl == 7_200_000)
    }

    @Test func longGrantsDifferWithinATenthAndShortOnesNot() throws {
        var test = try TestRegistrar()
        var phone = Phone()
        var grants: Set<UInt32> = []
        for asked in ["", ";expires=3600", ";expires=99999", ";expires=4294967295", ";expires=nonsense"] {
            for _ in 0..<20 {
                let answer = try test.answer(phone.register("Contact: <sip:alice@192.0.2.1>\(asked)"))
                grants.insert(try #require(try answer.grants.values.first))
            }
        }
        #expect(grants.allSatisfy { (3_240...3_600).contains($0) })
        #expect(grants.count > 40)
        let short = try test.answer(phone.register("Contact: <sip:alice@192.0.2.1>;expires=299"))
        #expect(try short.grants.values.first == 299)
    }

    @Test func anOlderRequestOfTheCallIsRefused() throws {
        var test = try TestRegistrar()
        var phone = Phone()
        let contact = "Contact: <sip:alice@192.0.2.1>;expires=120"
        try test.receive(phone.request("REGISTER", uri: "sip:demo.example", cseq: 9, [contact]))
        let late = try test.answer(phone.request("REGISTER", uri: "sip:demo.example", cseq: 8, [contact]))
        #expect(late.status == 500)
        let star = ["Contact: *", "Expires: 0"]
        #expect(try test.answer(phone.request("REGISTER", uri: "sip:demo.example", cseq: 7, star)).status == 500)
        // Another call may begin anywhere.
        var reborn = Phone(callID: "after-reboot")
        #expect(try test.answer(reborn.register(contact)).status == 200)
    }

    @Test func theDomainAndTheAddressOfRecordMustBeServedHere() throws {
        var test = try TestRegistrar()
        var phone = Phone()
        func status(uri: String = "sip:demo.example", to: String? = nil) throws -> Int {
            try test.answer(phone.request("REGISTER", uri: uri, to: to, [desk])).status
        }
        #expect(try status(uri: "sip:nowhere.example") == 404)
        #expect(try status(to: "sip:alice@nowhere.example") == 404)
        // Of a domain that is here as well, but not of the one that was asked.
        #expect(try status(to: "sip:alice@other.example") == 404)
        #expect(try status(to: "sip:demo.example") == 404)
        #expect(try status(to: "sip:\(String(repeating: "a", count: 129))@demo.example") == 404)
        #expect(try status(uri: "tel:+1-201-555-0123") == 416)
        #expect(try status(to: "tel:+1-201-555-0123") == 400)
        #expect(try status(uri: "SIP:DEMO.example") == 200)
        #expect(try status(uri: "sips:demo.example") == 200)
    }

    @Test func aContactOverTheLimitIsRefusedNotCut() throws {
        var test = try TestRegistrar()
        var phone = Phone()
        let long = String(repeating: "x", count: PackedContact.maximumNameLength)
        #expect(try test.answer(phone.register("Contact: <sip:\(long)@192.0.2.1>")).status == 400)
        let parameters = (0..<3).map { "p\($0)=\(String(repeating: "y", count: 6_000))" }
        let lines = parameters.map { "Contact: <sip:alice@192.0.2.1>;\($0)" }
        #expect(try test.answer(phone.register(lines[0])).status == 200)
        func instance(_ length: Int) -> String {
            "Contact: <sip:alice@192.0.2.2>;+sip.instance=\"<\(String(repeating: "i", count: length))>\""
        }
        #expect(try test.answer(phone.register(instance(256))).status == 200)
        #expect(try test.answer(phone.register(instance(257))).status == 400)
    }
}
