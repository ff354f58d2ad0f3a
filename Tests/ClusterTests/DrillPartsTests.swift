import ClusterRuntime
import Foundation
import NIOCore
import RegistrarEvents
import Testing

@testable import ClusterClients
@testable import Drills
@testable import NodeProcesses

@Suite struct LoadPlanTests {
    @Test func renewalsGoRoundAndLeaveOutWhatIsUnderWay() {
        var plan = LoadPlan(contacts: 4, churnPerSecond: 1)
        let round = (0..<4).map { _ in plan.renewal() }
        #expect(round == [.renew(0), .renew(1), .renew(2), nil])
        plan.finished(.renew(1))
        let next = plan.renewal()
        #expect(next == .renew(1))
    }

    @Test func aQuarterIsLeftAlone() {
        var plan = LoadPlan(contacts: 100, churnPerSecond: 1)
        var touched: Set<ContactNumber> = []
        for _ in 0..<200 {
            guard case .renew(let contact) = plan.renewal() else { break }
            touched.insert(contact)
        }
        #expect(touched == Set(0..<75))
    }

    @Test func whoLeftComesBackAfterASecondsWorthOfOthers() {
        var plan = LoadPlan(contacts: 20, churnPerSecond: 2)
        var left: [ContactNumber] = []
        var returned: [ContactNumber] = []
        for _ in 0..<8 {
            for step in plan.churn() {
                switch step {
                case .leave(let contact): left.append(contact)
                case .comeBack(let contact): returned.append(contact)
                case .renew: Issue.record("churn renews nothing")
                }
                plan.finished(step)
            }
        }
        #expect(left.count == 8)
        #expect(returned == Array(left.prefix(returned.count)))
        #expect(left.count - returned.count == 3)
    }

    @Test func whoIsAwayIsNotRenewed() {
        var plan = LoadPlan(contacts: 2, churnPerSecond: 5)
        let steps = plan.churn()
        #expect(steps == [.leave(1)])
        plan.finished(.leave(1))
        let first = plan.renewal()
        plan.finished(.renew(0))
        let second = plan.renewal()
        #expect([first, second] == [.renew(0), .renew(0)])
    }
}

@Suite struct RestartBackoffTests {
    @Test func waitsDoubleUpToTheirLimitAndBeginAnewAfterAGoodLife() {
        var backoff = RestartBackoff()
        let waits = (0..<7).map { _ in backoff.wait(afterLife: .seconds(1)) }
        #expect(waits == [200, 400, 800, 1600, 3200, 5000, 5000].map { .milliseconds($0) })
        let after = [backoff.wait(afterLife: .seconds(11)), backoff.wait(afterLife: .seconds(1))]
        #expect(after == [.milliseconds(200), .milliseconds(400)])
    }
}

@Suite struct ChildProcessTests {
    @Test func anExitCodeAndTheOutputAreKept() async throws {
        let log = FileManager.default.temporaryDirectory.appendingPathComponent("child-\(UUID().uuidString).log").path
        defer { try? FileManager.default.removeItem(atPath: log) }
        let process = try await ChildProcess.start(
            .init(
                executable: "/bin/sh", arguments: ["-c", "echo $GREETING; exit 7"], environment: ["GREETING": "hello"],
                log: log))
        #expect(await process.wait() == .exited(7))
        #expect(try String(contentsOfFile: log, encoding: .utf8) == "hello\n")
        process.signal(SIGKILL)
        #expect(process.ending == .exited(7))
    }

    @Test func whoIgnoresTheRequestToEndIsKilled() async throws {
        let log = FileManager.default.temporaryDirectory.appendingPathComponent("child-\(UUID().uuidString).log").path
        defer { try? FileManager.default.removeItem(atPath: log) }
        let process = try await ChildProcess.start(
            .init(
                executable: "/bin/sh", arguments: ["-c", "trap '' TERM; echo deaf; while :; do sleep 0.05; done"],
                log: log))
        // Before that it would end at the first word.
        try await eventually("the shell ignores SIGTERM") { try !String(contentsOfFile: log, encoding: .utf8).isEmpty }
        await process.stop(grace: .milliseconds(300))
        #expect(process.ending == .killed(SIGKILL))
    }

    @Test func aPausedProcessCanBeStopped() async throws {
        let process = try await ChildProcess.start(.init(executable: "/bin/sleep", arguments: ["60"]))
        process.signal(SIGSTOP)
        await process.stop(grace: .seconds(10))
        #expect(process.ending == .killed(SIGTERM))
    }

    @Test func whatDoesNotExistCannotBeStarted() async {
        await #expect(throws: ChildProcess.StartError.self) {
            try await ChildProcess.start(.init(executable: "/nonexistent", arguments: []))
        }
    }
}

@Suite struct NotificationTests {
    @Test func aRegistrationIsRead() throws {
        let text = """
            ["event", {"id":"follow","domain":"demo.example","epoch":3,"seq":17,"replay":true,"event":{"class":\
            "registrarevents","type":"sipuser_registered","data":{"sipuser_id":"10\\u00301","ttl":60,\
            "contact_id":"c-1","path":["a",{"b":[1,-2.5e3,null,false]}]},"eventts":1700000000000}}]
            """
        let notification = try #require(try RegistrarNotification.read(ByteBuffer(string: text), keepingJSON: true))
        #expect(notification.position == Position(epoch: 3, seq: 17))
        #expect(notification.replay)
        #expect(notification.change == .registered(.sipuser, account: "1001", contact: "c-1"))
        #expect(notification.json.hasPrefix(#"{"id":"follow""#) && notification.json.hasSuffix("}}"))
    }

    @Test func membersMayComeInAnyOrder() throws {
        let text = """
            ["event",{"event":{"data":{"reason":"delete_aor","connection_id":"x","user_id":"u1"},"type":\
            "user_unregistered"},"seq":2,"epoch":1}]
            """
        let notification = try RegistrarNotification.read(ByteBuffer(string: text))
        #expect(notification?.change == .unregistered(.user, account: "u1", contact: "x", reason: "delete_aor"))
    }

    @Test(arguments: [("snapshot", true), ("resync", true), ("failover", false), ("restart", false)])
    func clearsForOneSubscriberAreToldApart(reason: String, isOwn: Bool) throws {
        let text = #"["event",{"epoch":1,"seq":1,"event":{"type":"clear","data":{"reason":"\#(reason)"}}}]"#
        #expect(try RegistrarNotification.read(ByteBuffer(string: text))?.isOwnClear == isOwn)
    }

    @Test func aPhonesURIAndCSeqAreRead() throws {
        let text =
            #"["event",{"epoch":1,"seq":2,"event":{"type":"sipuser_registered","data":"#
            + #"{"contact_uri":"sip:a@192.0.2.1","cseq":4294967295}}}]"#
        let notification = try RegistrarNotification.read(ByteBuffer(string: text))
        #expect(notification?.contactURI == "sip:a@192.0.2.1" && notification?.cseq == .max)
    }

    @Test func repliesAreNoNotifications() throws {
        #expect(try RegistrarNotification.read(ByteBuffer(string: #"["subscribe_result",{"qid":1}]"#)) == nil)
    }

    @Test(arguments: [
        "", "[", "{}", #"["event""#, #"["event",{"epoch":}]"#, #"["event",{"seq":99999999999999999999}]"#,
    ])
    func brokenMessagesAreRefused(text: String) {
        #expect(throws: JSONScanner.Malformed.self) { try RegistrarNotification.read(ByteBuffer(string: text)) }
    }

    @Test func deepNestingIsRefused() {
        let text = #"["x","# + String(repeating: "[", count: 100_000)
        #expect(throws: JSONScanner.Malformed.self) { try RegistrarNotification.read(ByteBuffer(string: text)) }
    }
}

@Suite struct CopyComparisonTests {
    @Test func equalCopiesAtOnePositionAreTheSame() {
        #expect(result(copy("owner", 5), copy("standby", 5), copy("follower", 5)) == .same)
    }

    @Test func anotherDigestAtTheSamePositionIsADifference() {
        #expect(result(copy("owner", 5), copy("standby", 5, digest: "bb")) == .different)
    }

    @Test func followersThatAgreeOnlyWithEachOtherAreADifferenceToo() {
        #expect(result(copy("owner", 6), copy("follower", 5), copy("follower", 5, digest: "bb")) == .different)
    }

    @Test func copiesAtOtherPositionsOrBeingFilledSayNothingYet() {
        #expect(result(copy("owner", 5), copy("standby", 4)) == .moving)
        #expect(result(copy("owner", 5), copy("standby", 5, complete: false, digest: "bb")) == .moving)
        #expect(result(copy("owner", 5), copy("follower", 9, epoch: 1)) == .moving)
    }

    @Test func withoutOwnerThereIsNothingToCompareWith() {
        #expect(result(copy("standby", 5)) == .noOwner)
    }

    @Test func underTrafficEachCopyIsComparedWhereItWasMet() {
        // The owner is always a step ahead of what the others are asked for next.
        let first = [copy("owner", 5), copy("standby", 4), copy("follower", 3)]
        let second = [copy("owner", 8, digest: "bb"), copy("standby", 5), copy("follower", 4)]
        let third = [
            copy("owner", 12, digest: "cc"), copy("standby", 11, digest: "dd"), copy("follower", 8, digest: "bb"),
        ]
        func result(_ copies: [DescribedCopy], after earlier: [DescribedCopy]...) -> CopyComparison.Result {
            CopyComparison(domain: "d", copies: copies, earlier: earlier).result
        }
        #expect(result(second, after: first) == .moving, "the follower was not met yet")
        #expect(result(third, after: first, second) == .same)
        let other = [copy("owner", 12), copy("standby", 8, digest: "xx"), copy("follower", 8, digest: "bb")]
        #expect(result(other, after: first, second) == .different)
        let refilled = [
            copy("owner", 12, digest: "cc"), copy("standby", 5, complete: false), copy("follower", 8, digest: "bb"),
        ]
        #expect(result(refilled, after: first, second) == .moving)
    }

    @Test func aCopyThatStaysBehindIsNotTheSameForHavingBeenPassedBy() {
        let looks = (0..<6).map { [copy("owner", 5 + 3 * UInt64($0)), copy("follower", 11)] }
        let late = Array(looks[4...])
        #expect(CopyComparison(domain: "d", copies: late[1], earlier: [late[0]]).result == .moving)
        #expect(CopyComparison(domain: "d", copies: looks[5], earlier: [looks[0], looks[4]]).result == .moving)
    }

    @Test func aCopyThatNobodyCouldLookAtIsNotTheSame() {
        #expect(result(copy("owner", 5), holders: ["owner"]) == .same)
        #expect(result(copy("owner", 5), holders: ["owner", "standby"]) == .partial)
        #expect(result(copy("owner", 5), copy("standby", 5), holders: ["owner", "standby"]) == .same)
        #expect(result(copy("owner", 5), copy("follower", 5, digest: "bb"), holders: ["standby"]) == .different)
    }

    private func result(_ copies: DescribedCopy..., holders: Set<String> = []) -> CopyComparison.Result {
        CopyComparison(domain: "d", copies: copies, holders: holders).result
    }

    private func copy(
        _ role: String, _ seq: UInt64, epoch: UInt64 = 2, complete: Bool = true, digest: String = "aa"
    ) -> DescribedCopy {
        DescribedCopy(
            domain: "d", role: role, epoch: epoch, seq: seq, complete: complete,
            contacts: .init(user: 0, sipuser: 1), digest: digest, node: role)
    }
}
