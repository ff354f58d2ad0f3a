import AdminAPI
import ClusterRuntime
import Foundation
import NIOHTTP1
import RegistrarEvents
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct NodeTests {
    @Test func healthTellsTheReasons() async throws {
        try await AdminFixture.with { fixture in
            let answer = try await fixture.ask(.GET, "/health")
            #expect(answer.text == #"{"node":"router1","role":"router","healthy":true,"reasons":[]}"#)
        }
        try await AdminFixture.with(change: { $0.problems = { ["no router heard for 3 s"] } }) { fixture in
            let answer = try await fixture.ask(.GET, "/health")
            #expect(answer.status == 503)
            #expect(try answer.object()["reasons"] as? [String] == ["no router heard for 3 s"])
            #expect(try await fixture.ask(.HEAD, "/health").status == 503)
        }
    }

    @Test func metricsAreServedAsText() async throws {
        try await AdminFixture.with { fixture in
            let answer = try await fixture.ask(.GET, "/metrics")
            #expect(answer.text == "# HELP up Up.\n")
            #expect(answer.headers["Content-Type"] == ["text/plain; version=0.0.4; charset=utf-8"])
        }
    }

    @Test func nodesStatusAndDomainsHaveTheirPublishedForm() async throws {
        try await AdminFixture.with { fixture in
            #expect(
                try await fixture.ask(.GET, "/rest/v1/master/nodes").text
                    == #"[{"name":"sr1","site":"main","server":"host-a","roles":["sr"],"status":"up","#
                    + #""dtStart":"2023-11-14T22:13:20Z","upTimeSec":12}]"#)
            let status = try await fixture.ask(.GET, "/rest/v1/cluster/status")
            #expect(try JSONDecoder().decode(ClusterStatus.self, from: Data(status.text.utf8)) == AdminFixture.status)
            #expect(
                try await fixture.ask(.GET, "/rest/v1/registrar/domains").text
                    == #"[{"name":"acme.example","epoch":0,"owner":null,"standbys":[],"since":null,"cause":null},"#
                    + #"{"name":"demo.example","epoch":3,"owner":"sr1","standbys":[{"name":"sr2","in_sync":true}],"#
                    + #""since":"2023-11-14T22:13:20Z","cause":"failover"}]"#)
            let domain = try await fixture.ask(.GET, "/rest/v1/registrar/domains/demo.example").object()
            #expect(domain["position"] as? [String: Int] == ["epoch": 3, "seq": 1])
            await fixture.registrar.always(.refused(.unavailable))
            let silent = try await fixture.ask(.GET, "/rest/v1/registrar/domains/demo.example").object()
            #expect(silent["position"] is NSNull)
        }
    }

    @Test func awayFromTheActiveRouterTheStatusIsElsewhere() async throws {
        try await AdminFixture.with(change: { $0.status = { .elsewhere("http://127.0.0.1:8081") } }) { fixture in
            let path = "/rest/v1/master/nodes?a=b"
            let answer = try await fixture.ask(.GET, path)
            #expect(answer.status == 307)
            #expect(answer.headers["Location"] == ["http://127.0.0.1:8081" + path])
            let told = try await fixture.ask(.GET, "/rest/v1/cluster/status?redirect=no")
            #expect(told.status == 421)
            let error = try #require(try told.object()["error"] as? [String: Any])
            #expect(error["leader"] as? String == "http://127.0.0.1:8081")
        }
        try await AdminFixture.with(change: { $0.status = { .elsewhere(nil) } }) { fixture in
            let answer = try await fixture.ask(.GET, "/rest/v1/cluster/status")
            #expect(answer.status == 503)
        }
    }

    @Test func copiesAreToldByThoseWhoHoldThem() async throws {
        let report = CopyReport(
            domain: AdminFixture.demo, position: Position(epoch: 3, seq: 9), complete: true, users: 1, sipusers: 2,
            digest: 0xAB)
        try await AdminFixture.with(change: { $0.copies = { [HeldCopy(.standby, report)] } }) { fixture in
            let answer = try await fixture.ask(.GET, "/rest/v1/registrar/verify")
            #expect(
                answer.text
                    == #"[{"domain":"demo.example","role":"standby","epoch":3,"seq":9,"complete":true,"#
                    + #""contacts":{"user":1,"sipuser":2},"digest":"00000000000000ab"}]"#)
        }
        try await AdminFixture.with { fixture in
            let answer = try await fixture.ask(.GET, "/rest/v1/registrar/verify")
            #expect(answer.status == 404)
        }
    }

    @Test func changesOfOwnerAreTold() async throws {
        let change = OwnerChange(
            epoch: 2, cause: "failover", previous: "sr1#1", next: "sr2#1", detectedAt: 1, storedAt: 2,
            tookMilliseconds: 1)
        try await AdminFixture.with(change: { $0.ownerChanges = { _ in [change] } }) { fixture in
            let answer = try await fixture.ask(.GET, "/rest/v1/cluster/domains/demo.example/changes")
            #expect(try JSONDecoder().decode([OwnerChange].self, from: Data(answer.text.utf8)) == [change])
        }
    }

    @Test func whatIsNotThereIsToldInTheSameForm() async throws {
        try await AdminFixture.with { fixture in
            let answer = try await fixture.ask(.PUT, "/rest/v1/nothing")
            #expect(answer.status == 404)
            #expect(try answer.message() == "there is no PUT /rest/v1/nothing")
        }
    }

    @Test func thePageNeedsNothingFromElsewhereAndRunsOnlyItsOwnScript() async throws {
        try await AdminFixture.with { fixture in
            let answer = try await fixture.ask(.GET, "/")
            let policy = try #require(answer.headers["Content-Security-Policy"].first)
            let nonce = try #require(policy.firstMatch(of: /script-src 'nonce-([a-z0-9]+)'/)?.1)
            #expect(answer.text.contains("<script nonce=\"\(nonce)\">"))
            for forbidden in ["innerHTML", "insertAdjacentHTML", "document.write", " src=", "@import", "url("] {
                #expect(!answer.text.contains(forbidden), "\(forbidden)")
            }
        }
        try await AdminFixture.with(change: { $0.role = .sr }) { fixture in
            let answer = try await fixture.ask(.GET, "/")
            #expect(answer.status == 404)
        }
    }

    @Test func oneConnectionServesManyRequests() async throws {
        try await AdminFixture.with { fixture in
            let body = #"{"kind":"user","account":"a","contact_id":"c","ttl":60}"#
            let post =
                "POST \(AdminFixture.contacts) HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
            let requests = 5
            // All at once: a pipelining client is the hardest kind.
            let text = try await fixture.raw(String(repeating: post, count: requests)) { text in
                text.components(separatedBy: "\"ttl\":60}").count > requests
            }
            #expect(text.components(separatedBy: "HTTP/1.1 200 OK").count == requests + 1)
            #expect(await fixture.registrar.performed.count == requests)
        }
    }

    enum OddBytes: CaseIterable {
        case noUTF8, brokenEscape, longHead, notHTTP

        var text: String {
            switch self {
            case .noUTF8: "GET /rest/v1/registrar/domains/%FF HTTP/1.1\r\nHost: localhost\r\n\r\n"
            case .brokenEscape: "GET /rest/v1/registrar/domains/%4 HTTP/1.1\r\nHost: localhost\r\n\r\n"
            case .longHead:
                "GET /health HTTP/1.1\r\nHost: localhost\r\nX: \(String(repeating: "a", count: 20_000))\r\n\r\n"
            case .notHTTP: "\u{16}\u{3}\u{1}\r\n\r\n"
            }
        }
    }

    @Test(arguments: OddBytes.allCases) func oddBytesAreABadRequest(_ bytes: OddBytes) async throws {
        try await AdminFixture.with { fixture in
            let text = try await fixture.raw(bytes.text) { $0.contains("\r\n\r\n") }
            #expect(text.hasPrefix("HTTP/1.1 400"), "\(text)")
        }
    }

    @Test func bansAreListedAndLifted() async throws {
        let banned = Mutex(["192.0.2.7": 20, "2001:db8:0:1::/64": 21])
        try await AdminFixture.with(change: { backend in
            backend.bans = {
                banned.withLock { $0 }.sorted { $0.key < $1.key }
                    .map { AddressBan(network: $0.key, rest: .milliseconds(1001), failures: $0.value) }
            }
            backend.liftBan = { address in banned.withLock { banned in banned.removeValue(forKey: address) != nil } }
        }) { fixture in
            #expect(
                try await fixture.ask(.GET, "/rest/v1/bans").text
                    == #"[{"address":"192.0.2.7","failures":20,"seconds":2},"#
                    + #"{"address":"2001:db8:0:1::/64","failures":21,"seconds":2}]"#)
            #expect(try await fixture.ask(.DELETE, "/rest/v1/bans/192.0.2.8").status == 404)
            let lifted = try await fixture.ask(.DELETE, "/rest/v1/bans/2001%3Adb8%3A0%3A1%3A%3A5")
            #expect(lifted.text == #"{"address":"2001:db8:0:1::/64"}"#)
            #expect(try await fixture.ask(.DELETE, "/rest/v1/bans/192.0.2.7").status == 200)
            #expect(try await fixture.ask(.GET, "/rest/v1/bans").text == "[]")
        }
    }

    @Test func aNodeWithoutClientsTurnsNobodyAway() async throws {
        try await AdminFixture.with { fixture in
            let listed = try await fixture.ask(.GET, "/rest/v1/bans")
            let lifted = try await fixture.ask(.DELETE, "/rest/v1/bans/192.0.2.7")
            #expect(listed.status == 404)
            #expect(lifted.status == 404)
        }
    }
}
