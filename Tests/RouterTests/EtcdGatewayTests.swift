import AnswerFixture
import ClusterRuntime
import EtcdFixture
import Foundation
import Logging
import Synchronization
import Testing

@testable import EtcdCoordinator

/// What is made of members that answer badly.
@Suite(.timeLimit(.minutes(2))) struct EtcdGatewayTests {
    private static let granted = #"{"header":{"cluster_id":"1","revision":"1"},"ID":"5","TTL":"2"}"#

    private func withGateway(
        _ endpoints: [String], _ body: (EtcdGateway) async throws -> Void
    ) async throws {
        var log = Logger(label: "test")
        log.logLevel = .critical
        let spec = EtcdSpec(endpoints: endpoints, prefix: "/test")
        let gateway = try EtcdGateway(spec, connecting: .seconds(1), reading: .seconds(60), logger: log)
        do {
            try await body(gateway)
            await gateway.shutDown()
        } catch {
            await gateway.shutDown()
            throw error
        }
    }

    private func grant(_ gateway: EtcdGateway, within limit: Duration = .seconds(20)) async throws -> Int64 {
        let reply: Gateway.GrantReply = try await gateway.call(
            "lease/grant", Gateway.Grant(TTL: .init(2)), within: limit)
        return reply.ID.value
    }

    private func refusal(_ code: Int, _ text: String) -> CannedServer.Answer {
        .whole(status: 500, #"{"error":"\#(text)","message":"\#(text)","code":\#(code)}"#)
    }

    /// Every byte comes in time, and the answer never does.
    @Test func anAnswerThatDoesNotEndIsGivenUpAndTheNextMemberAsked() async throws {
        try await CannedServer.with({ _, _ in .endless }) { slow in
            try await withGateway([slow.url]) { gateway in
                await #expect(throws: EtcdFault.unanswered("\(slow.url): no answer in time")) {
                    try await grant(gateway, within: .milliseconds(200))
                }
            }
            try await CannedServer.with({ _, _ in .whole(status: 200, Self.granted) }) { quick in
                try await withGateway([slow.url, quick.url]) { gateway in
                    // The quick one may take a while on a busy machine; the slow one takes all of its time.
                    let lease = try await grant(gateway, within: .seconds(3))
                    #expect(lease == 5)
                    #expect(gateway.endpoints.map(\.answers) == [false, true])
                }
            }
        }
    }

    @Test func aMemberWithTooManyRequestsIsPassedOver() async throws {
        let busy = refusal(8, "etcdserver: too many requests")
        try await CannedServer.with({ _, _ in busy }) { behind in
            try await CannedServer.with({ _, _ in .whole(status: 200, Self.granted) }) { well in
                try await withGateway([behind.url, well.url]) { gateway in
                    let lease = try await grant(gateway)
                    #expect(lease == 5)
                    #expect(gateway.endpoints.map(\.answers) == [false, true])
                }
            }
            // Nothing was done, so there is no outcome that is not known.
            try await withGateway([behind.url]) { gateway in
                await #expect(throws: EtcdFault.unreachable("\(behind.url): too many requests")) {
                    try await grant(gateway)
                }
            }
        }
    }

    @Test func whatTheWholeClusterRefusesIsAskedOfNobodyElse() async throws {
        let asked = Mutex(0)
        let full = refusal(8, "etcdserver: mvcc: database space exceeded")
        try await CannedServer.with({ _, _ in full }) { first in
            try await CannedServer.with({ _, _ in
                asked.withLock { $0 += 1 }
                return .whole(status: 200, Self.granted)
            }) { second in
                try await withGateway([first.url, second.url]) { gateway in
                    await #expect(throws: EtcdFault.refused(code: 8, "mvcc: database space exceeded")) {
                        try await grant(gateway)
                    }
                    #expect(asked.withLock(\.self) == 0)
                }
            }
        }
    }

    @Test(arguments: [
        #"{"error":"etcdserver: no leader","message":"etcdserver: no leader","code":14}"#,
        #"{"code":14,"message":"etcdserver: no leader","details":[]}"#,
        #"{"error":"etcdserver: no leader","code":14}"#,
        #"{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader","http_status":"Unavailable"}}"#,
        #"{"error":{"code":14,"message":"etcdserver: no leader","details":[]}}"#,
    ])
    func everyShapeOfARefusalIsRead(text: String) throws {
        let refusal = try JSONDecoder().decode(Gateway.Refusal.self, from: Data(text.utf8))
        #expect(refusal.code == 14 && refusal.text == "etcdserver: no leader")
    }

    /// A keepalive is a stream to etcd, whose errors have a shape of their own.
    @Test func aMemberWithoutMajoritySaysSoWhenALeaseIsRenewed() async throws {
        try await EtcdMembers.with(3) { members in
            try await withGateway([members.endpoints[0]]) { gateway in
                let lease = try await grant(gateway)
                for member in members.members[1...] { await members.kill(member) }
                do {
                    // Where it was the leader it renews until it notices.
                    for _ in 0..<100 {
                        let _: Gateway.KeepAliveReply = try await gateway.call(
                            "lease/keepalive", Gateway.KeepAlive(ID: .init(lease)), within: .seconds(40))
                        try await Task.sleep(for: .milliseconds(200))
                    }
                    Issue.record("a lease was renewed without a majority")
                } catch EtcdFault.unanswered(let text) {
                    #expect(!text.contains("in time"), "\(text)")
                }
            }
        }
    }
}
