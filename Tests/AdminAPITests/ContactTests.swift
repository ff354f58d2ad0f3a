import AdminAPI
import ClusterRuntime
import Foundation
import NIOHTTP1
import RegistrarEvents
import Testing

@Suite(.timeLimit(.minutes(1))) struct ContactTests {
    @Test func aRegistrationIsListedWithTheFieldsOfItsEvent() async throws {
        try await AdminFixture.with { fixture in
            let posted = try await fixture.ask(
                .POST, AdminFixture.contacts,
                """
                {"kind":"sipuser","account":"1001","contact_id":"urn:uuid:1/2","ttl":120,
                 "contact_uri":"sip:1001@10.0.0.1",
                 "user_agent":"<b>\\"phone\\"</b>","path":["sip:p1","sip:p2"],"cseq":4294967295,"peer_port":5060,
                 "sipuser_id":"1001"}
                """)
            #expect(posted.status == 200, "\(posted.text)")
            #expect(posted.text == #"{"epoch":3,"seq":2,"ttl":120}"#)
            let list = try await fixture.ask(.GET, AdminFixture.contacts).array()
            let contact = try #require(list.first)
            #expect(contact["kind"] as? String == "sipuser")
            #expect(contact["account"] as? String == "1001")
            #expect(contact["contact_id"] as? String == "urn:uuid:1/2")
            #expect(contact["expires_in"] as? Int == 120)
            #expect(contact["user_agent"] as? String == #"<b>"phone"</b>"#)
            #expect(contact["path"] as? [String] == ["sip:p1", "sip:p2"])
            #expect(contact["cseq"] as? Int == 4_294_967_295)
            try await fixture.register("user", "u1", "w1")
            let user = try #require(try await fixture.ask(.GET, AdminFixture.contacts + "?kind=user").array().first)
            #expect(user["contact_id"] as? String == "w1")
            #expect(user["connection_id"] as? String == "w1")
        }
    }

    /// A public GRUU has the instance with what may not stand in a URI escaped.
    @Test func aGRUULeadsToItsDeviceAsItIsWritten() async throws {
        try await AdminFixture.with { fixture in
            let posted = try await fixture.ask(
                .POST, AdminFixture.contacts,
                #"{"kind":"sipuser","account":"1001","contact_id":"c","ttl":120,"instance_id":"urn:x;1"}"#)
            #expect(posted.status == 200, "\(posted.text)")
            for (path, status) in [("urn:x%3B1", 200), ("urn:x%253B1", 200), ("urn:x", 404)] {
                let answer = try await fixture.ask(
                    .GET, "/rest/v1/registrar/domains/demo.example/gruu/\(path)?account=1001")
                #expect(answer.status == status, "\(path): \(answer.text)")
            }
        }
    }

    @Test func manyPagesAreOneArrayAndFiltersHold() async throws {
        try await AdminFixture.with { fixture in
            #expect(try await fixture.ask(.GET, AdminFixture.contacts).text == "[]")
            for number in 0..<10 {
                try await fixture.register("user", "u\(number % 5)", "w\(number)")
                try await fixture.register("sipuser", "u\(number % 5)", "d\(number)")
            }
            func count(_ query: String) async throws -> Int {
                try await fixture.ask(.GET, AdminFixture.contacts + query).array().count
            }
            #expect(try await count("") == 20)
            #expect(try await count("?kind=user") == 10)
            #expect(try await count("?account=u1") == 4)
            #expect(try await count("?account=u1&kind=sipuser") == 2)
            #expect(try await count("?limit=7") == 7)
            #expect(try await count("?account=nobody") == 0)
            let wrong = try await fixture.ask(.GET, AdminFixture.contacts + "?color=red")
            #expect(wrong.status == 400)
            #expect(try wrong.message().contains("color"))
        }
    }

    @Test func aListThatAnotherOwnerWouldHaveToFinishBreaksOff() async throws {
        try await AdminFixture.with { fixture in
            for number in 0..<10 { try await fixture.register("user", "u1", "w\(number)") }
            await fixture.registrar.changeOwner(afterPages: 2)
            await #expect(throws: (any Error).self) { try await fixture.ask(.GET, AdminFixture.contacts) }
        }
    }

    @Test func deletingTellsWhatEnded() async throws {
        try await AdminFixture.with { fixture in
            for contact in ["a", "b", "c"] { try await fixture.register("user", "u 1", contact) }
            try await fixture.register("user", "u2", "urn:x/y")
            let one = try await fixture.ask(.DELETE, AdminFixture.contacts + "/user/u%201/a")
            #expect(one.text == #"{"epoch":3,"seq":6,"count":1}"#)
            #expect(
                try await fixture.ask(.DELETE, AdminFixture.contacts + "/user/u%201/a").text.contains(#""count":0"#))
            #expect(try await fixture.ask(.DELETE, AdminFixture.contacts + "/user/u2/urn:x%2Fy").text.contains(#":1}"#))
            #expect(try await fixture.ask(.DELETE, AdminFixture.contacts + "/user/u%201").text.contains(#""count":2"#))
            #expect(await fixture.registrar.performed.last == .deleteAccount(AccountID(.user, "u 1")))
        }
    }

    @Test func anEmptyLastPartDeletesNothing() async throws {
        try await AdminFixture.with { fixture in
            try await fixture.register("user", "u1", "a")
            for path in ["/user/u1/", "/?confirm=demo.example"] {
                #expect(try await fixture.ask(.DELETE, AdminFixture.contacts + path).status == 400)
            }
            #expect(try await fixture.ask(.GET, AdminFixture.contacts).array().count == 1)
        }
    }

    /// The router passes over empty parts: the contact's name would be taken for an account's.
    @Test func anEmptyPartAmidThePathDeletesNothing() async throws {
        try await AdminFixture.with { fixture in
            try await fixture.register("user", "u1", "a")
            try await fixture.register("sipuser", "u1", "a")
            for path in ["/sipuser//u1", "//user/u1", "/user//u1/a", "//user/u1/a"] {
                let answer = try await fixture.ask(.DELETE, AdminFixture.contacts + path)
                #expect(answer.status == 400, "\(path)")
                #expect(try answer.message().contains("empty part"))
            }
            #expect(try await fixture.ask(.GET, AdminFixture.contacts).array().count == 2)
        }
    }

    /// What the cluster still carries out after the last attempt is counted from the cluster's own limit.
    @Test func theOwnerIsWaitedForAsLongAsNodesWaitForEachOther() {
        var periods = Periods()
        periods.requestDeadline = .seconds(60)
        #expect(AdminLimits(periods).deadline == .seconds(60))
    }

    /// There is one connection, and its client does not read: the next client is served nevertheless.
    @Test func aClientThatDoesNotReadItsAnswerIsDisconnected() async throws {
        var limits = AdminLimits()
        limits.connections = 1
        limits.stalled = .milliseconds(200)
        try await AdminFixture.with(limits: limits) { fixture in
            let long = String(repeating: "x", count: 15_000)
            for number in 0..<1_000 { await fixture.registrar.put(.sipuser, "\(number)", "c", userAgent: long) }
            try await fixture.whileNotReading("GET \(AdminFixture.contacts) HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") {
                let answer = try await fixture.ask(.GET, "/health")
                #expect(answer.status == 200)
            }
        }
    }

    @Test func clearingTheWholeDomainHasToBeConfirmed() async throws {
        try await AdminFixture.with { fixture in
            try await fixture.register("user", "u1", "a")
            for query in ["", "?confirm=yes", "?confirm=acme.example"] {
                let answer = try await fixture.ask(.DELETE, AdminFixture.contacts + query)
                #expect(answer.status == 400)
                #expect(try answer.message().contains("?confirm=demo.example"))
            }
            #expect(try await fixture.ask(.DELETE, AdminFixture.contacts + "?confirm=demo.example").status == 200)
            #expect(await fixture.registrar.performed.last == .clear)
        }
    }

    @Test(arguments: [
        ("", "not a JSON object"), ("[]", "not a JSON object"), ("{", "not a JSON object"),
        (#"{"account":"a","contact_id":"c","ttl":60}"#, "kind"),
        (#"{"kind":"phone","account":"a","contact_id":"c","ttl":60}"#, "expected user or sipuser"),
        (#"{"kind":"user","contact_id":"c","ttl":60}"#, "account is missing"),
        (
            #"{"kind":"sipuser","account":"a","contact_id":"c","ttl":60,"contact_uri":"sip:a@h>\r\nX: y"}"#,
            "contact_uri has a control character"
        ),
        (
            #"{"kind":"sipuser","account":"a","contact_id":"c","ttl":60,"path":["<sip:edge>","\u0000"]}"#,
            "path has a control character"
        ),
        (
            #"{"kind":"sipuser","account":"a","contact_id":"c","ttl":60,"contact_uri":"sip:a@h>;x"}"#,
            "contact_uri has an angle bracket or a quote"
        ),
        (
            #"{"kind":"sipuser","account":"a","contact_id":"c","ttl":60,"instance_id":"urn:\"x"}"#,
            "instance_id has an angle bracket or a quote"
        ),
        (
            #"{"kind":"sipuser","account":"a","contact_id":"c","ttl":60,"instance_id":""#
                + String(repeating: "i", count: 257) + #""}"#,
            "instance_id has 257 bytes; expected 256 at most"
        ),
        (
            #"{"kind":"sipuser","account":"a","contact_id":"c","ttl":60,"contact_params":"q=1, <sip:evil@x>"}"#,
            "contact_params is no list of SIP parameters"
        ),
        (
            #"{"kind":"sipuser","account":"a","contact_id":"c","ttl":60,"contact_params":"q=1;"}"#,
            "contact_params is no list of SIP parameters"
        ),
        (
            #"{"kind":"sipuser","account":"a","contact_id":"c","ttl":60,"contact_params":"d=\"open"}"#,
            "contact_params is no list of SIP parameters"
        ),
        (
            #"{"kind":"sipuser","account":"a","contact_id":"c","ttl":60,"contact_params":"q=1;Expires=9"}"#,
            "contact_params has Expires, which follows from other fields"
        ),
        (#"{"kind":"user","account":"a","contact_id":"","ttl":60}"#, "contact_id is missing"),
        (#"{"kind":"user","account":"a","contact_id":"c"}"#, "ttl is missing"),
        (#"{"kind":"user","account":"a","contact_id":"c","ttl":0}"#, "expected 1 to"),
        (#"{"kind":"user","account":"a","contact_id":"c","ttl":"60"}"#, "ttl"),
        (#"{"kind":"user","account":"a","contact_id":"c","ttl":60.5}"#, "ttl"),
        (#"{"kind":"user","account":"a","contact_id":"c","ttl":4294968}"#, "expected 1 to 4294967"),
        (#"{"kind":"user","account":"a","contact_id":"c","ttl":60,"caps":"x"}"#, "caps"),
        (#"{"kind":"user","account":"a","contact_id":"c","ttl":60,"peer_port":65536}"#, "peer_port"),
        (#"{"kind":"user","account":"a","contact_id":"c","ttl":60,"user_id":"b"}"#, "user_id contradicts"),
        (#"{"kind":"user","account":"a","contact_id":"c","ttl":60,"call_id":"x"}"#, "call_id is not known"),
    ])
    func whatIsMalformedIsNamed(_ body: String, _ expected: String) async throws {
        try await AdminFixture.with { fixture in
            let answer = try await fixture.ask(.POST, AdminFixture.contacts, body)
            #expect(answer.status == 400)
            #expect(try answer.message().contains(expected), "\(answer.text)")
            #expect(await fixture.registrar.performed.isEmpty)
        }
    }

    @Test(arguments: [(1_024, 200), (1_025, 400), (70_000, 413)])
    func namesAndBodiesHaveLimits(_ length: Int, _ status: Int) async throws {
        try await AdminFixture.with { fixture in
            let body =
                #"{"kind":"user","account":"\#(String(repeating: "a", count: length))","contact_id":"c","ttl":60}"#
            let answer = try await fixture.ask(.POST, AdminFixture.contacts, body)
            #expect(answer.status == status)
        }
    }

    @Test(arguments: [("none.example", 404), ("-", 400), ("%00", 400)])
    func onlyDomainsOfTheTopologyAreServed(_ domain: String, _ status: Int) async throws {
        try await AdminFixture.with { fixture in
            let answer = try await fixture.ask(.GET, "/rest/v1/registrar/domains/\(domain)/contacts")
            #expect(answer.status == status)
        }
    }

    @Test(arguments: [
        (Refusal.notOwner, 503), (.unavailable, 503), (.overloaded, 503), (.intervalTooBrief(minimum: 29_001), 423),
        (.tooManyDevices(limit: 4), 409), (.domainFull(limit: 9), 507),
    ])
    func refusalsAreStatuses(_ refusal: Refusal, _ status: Int) async throws {
        try await AdminFixture.with { fixture in
            await fixture.registrar.always(.refused(refusal))
            let answer = try await fixture.ask(
                .POST, AdminFixture.contacts, #"{"kind":"user","account":"a","contact_id":"c","ttl":1}"#)
            #expect(answer.status == status)
            let error = try #require(try answer.object()["error"] as? [String: Any])
            switch status {
            case 503: #expect(answer.headers["Retry-After"] == ["1"])
            case 423:
                #expect(answer.headers["Min-Expires"] == ["30"])
                #expect(error["min_expires"] as? Int == 30)
            default: #expect(error["limit"] as? Int == (status == 409 ? 4 : 9))
            }
            #expect(try await fixture.ask(.GET, AdminFixture.contacts).status == status)
            #expect(try await fixture.ask(.DELETE, AdminFixture.contacts + "/user/a").status == status)
        }
    }
}
