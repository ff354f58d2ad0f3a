import RegistrarEvents
import Testing

struct RestatingTests {
    private func packed(_ change: (inout SIPUserDetails) -> Void = { _ in }) throws -> PackedContact {
        var details = SIPUserDetails(
            login: "l", contactURI: "u", instanceID: "i", regID: 1, parameters: "q=1", userAgent: "ua",
            transport: "udp", path: ["a", "b"], callID: "c", cseq: 1, peerAddress: "192.0.2.1", peerPort: 5060)
        change(&details)
        return try #require(PackedContact(Registration(account: "1001", contact: "desk", sipuser: details)))
    }

    @Test func anotherRequestOfTheSameDeviceSaysNothingNew() throws {
        #expect(try packed().restates(packed()))
        #expect(try packed { ($0.callID, $0.cseq) = ("another and longer", 70_000) }.restates(packed()))
    }

    @Test func everythingElseIsNew() throws {
        let changes: [@Sendable (inout SIPUserDetails) -> Void] = [
            { $0.login = "m" }, { $0.contactURI = "" }, { $0.instanceID = "j" }, { $0.regID = 2 },
            { $0.parameters = "" }, { $0.userAgent = "other" }, { $0.transport = "tcp" }, { $0.path = ["b", "a"] },
            { $0.path = ["a"] }, { $0.peerAddress = "192.0.2.2" }, { $0.peerPort = 5_061 },
        ]
        for change in changes {
            #expect(try !packed(change).restates(packed()))
            #expect(try !packed().restates(packed(change)))
        }
    }

    @Test func connectionsOfPeopleAreComparedInWhole() throws {
        func packed(_ app: String) throws -> PackedContact {
            try #require(PackedContact(Registration(account: "u", contact: "c", user: UserDetails(app: app))))
        }
        #expect(try packed("a").restates(packed("a")))
        #expect(try !packed("a").restates(packed("b")))
    }
}
