import ClusterRuntime
import RegistrarEvents
import Testing

/// The machine alone: no clock, no transport.
@Suite struct RequestMachineTests {
    private static let demo = DomainName("demo.example")!
    private static let first = NodeID(name: NodeName("sr1"), incarnation: 1)
    private static let second = NodeID(name: NodeName("sr2"), incarnation: 1)
    private static let ok = Reply.Result.registered(Position(epoch: 1, seq: 7), ttl: 60_000)

    /// A machine on a clock of its own, with the directives in words.
    private struct Bench {
        var machine = RequestMachine(seed: 1, maximumPending: 8)
        var now = Moment(monotonic: MonotonicInstant(nanoseconds: 1_000_000_000), wall: 0)

        mutating func handle(_ event: RequestMachine.Event) -> [String] {
            machine.handle(event, at: now).map { directive in
                switch directive {
                case .send(let request, let peer, let attempt):
                    "send \(request.id) to \(peer) epoch \(request.epoch) attempt \(attempt)"
                case .finish(let id, .refused(let refusal)): "finish \(id) \(refusal)"
                case .finish(let id, _): "finish \(id)"
                }
            }
        }

        mutating func perform(
            _ id: UInt64, _ operation: Request.Operation = .list(cursor: 0, account: nil),
            for deadline: Duration = .seconds(5)
        ) -> [String] {
            handle(.perform(id: id, operation, on: demo, deadline: deadline))
        }

        mutating func assign(_ owner: NodeID?, epoch: UInt64, revision: UInt64) -> [String] {
            let assignment = Assignment(
                domain: demo, epoch: epoch, revision: revision, owner: owner, standbys: [], cause: .failover, since: 0)
            return handle(.assigned([assignment]))
        }

        mutating func reply(_ id: UInt64, _ result: Reply.Result, from node: NodeID) -> [String] {
            handle(.replied([Reply(id: id, result: result)], from: node))
        }

        /// Lets time pass, tick by tick.
        mutating func wait(_ duration: Duration) -> [String] {
            var told: [String] = []
            let end = now.monotonic + duration
            while now.monotonic < end {
                now.monotonic += RequestMachine.tickPeriod
                told += handle(.tick)
            }
            return told
        }
    }

    private static func bench() -> Bench {
        var bench = Bench()
        _ = bench.assign(first, epoch: 1, revision: 1)
        return bench
    }

    private static func register(_ contact: String, _ account: String = "u1") -> Request.Operation {
        .register(PackedContact(Registration(account: account, contact: contact, user: UserDetails()))!, ttl: 60_000)
    }

    private static func unregister(_ contact: String, _ account: String = "u1") -> Request.Operation {
        .unregister(key: ContactKey(.user, account, contact).packed, reason: .unregisterContact)
    }

    @Test func nothingIsSentInTheLastQuarterOfTheTime() {
        var bench = Self.bench()
        var told = bench.perform(1, for: .seconds(4))
        told += bench.wait(.seconds(3))
        #expect(told.count > 3 && told.allSatisfy { $0.hasPrefix("send 1 to ") })
        // What is under way may still be carried out, and answered; nothing is afterwards.
        let last = bench.wait(.seconds(2))
        #expect(last == ["finish 1 unavailable"])
    }

    @Test func aRequestGoesToTheOwnerAndItsReplyFinishesItOnce() {
        var bench = Self.bench()
        #expect(bench.perform(1) == ["send 1 to sr1 epoch 1 attempt 1"])
        #expect(bench.reply(1, Self.ok, from: Self.first) == ["finish 1"])
        #expect(bench.reply(1, Self.ok, from: Self.first) == [])
        #expect(bench.machine.pendingCount == 0)
        #expect(bench.wait(.seconds(3)) == [])
    }

    @Test func anUnknownDomainIsRefusedAtOnce() {
        var bench = Bench()
        #expect(bench.perform(1) == ["finish 1 notOwner"])
    }

    @Test func withoutAReplyItIsAskedAgainWithGrowingPausesUntilTheDeadline() {
        var bench = Self.bench()
        _ = bench.perform(1, for: .seconds(5))
        var pauses: [Duration] = []
        var last = bench.now.monotonic
        while bench.machine.pendingCount > 0 {
            let told = bench.wait(RequestMachine.tickPeriod)
            guard !told.isEmpty else { continue }
            pauses.append(bench.now.monotonic - last)
            last = bench.now.monotonic
        }
        // 250, 500, 1000, 1000, … ms, a fifth more or less, seen at the next tick.
        #expect(pauses.count >= 5)
        for (pause, expected) in zip(pauses.dropLast(), [250.0, 500, 1_000, 1_000, 1_000, 1_000]) {
            let range = Duration.milliseconds(expected * 0.8) ... .milliseconds(expected * 1.2 + 25)
            #expect(range.contains(pause), "\(pauses)")
        }
        #expect(bench.now.monotonic.nanoseconds == 6_000_000_000)
    }

    @Test func afterTheDeadlineItIsUnavailable() {
        var bench = Self.bench()
        _ = bench.perform(1, for: .milliseconds(100))
        #expect(bench.wait(.milliseconds(75)) == [])
        #expect(bench.wait(.milliseconds(25)) == ["finish 1 unavailable"])
        #expect(bench.reply(1, Self.ok, from: Self.first) == [])
    }

    @Test func aNewOwnerIsAskedAtOnceInItsEpochAndInOrder() {
        var bench = Self.bench()
        _ = bench.perform(1)
        _ = bench.perform(2)
        #expect(
            bench.assign(Self.second, epoch: 2, revision: 2) == [
                "send 1 to sr2 epoch 2 attempt 2", "send 2 to sr2 epoch 2 attempt 2",
            ])
        // What the deposed owner still says to the earlier attempt counts only when it was done.
        #expect(bench.reply(1, .refused(.notOwner), from: Self.first) == [])
        #expect(bench.reply(1, .refused(.tooManyDevices(limit: 1)), from: Self.first) == [])
        #expect(bench.reply(2, Self.ok, from: Self.first) == ["finish 2"])
        #expect(bench.reply(1, Self.ok, from: Self.second) == ["finish 1"])
    }

    @Test func aChangeOfStandbysOrAnOldAssignmentRepeatsNothing() {
        var bench = Self.bench()
        _ = bench.perform(1)
        #expect(bench.assign(Self.first, epoch: 1, revision: 5) == [])
        #expect(bench.assign(Self.second, epoch: 2, revision: 4) == [])
    }

    @Test func withoutAnOwnerRequestsWaitForOne() {
        var bench = Self.bench()
        _ = bench.assign(nil, epoch: 1, revision: 2)
        #expect(bench.perform(1) == [])
        #expect(bench.wait(.seconds(1)) == [])
        #expect(bench.assign(Self.second, epoch: 2, revision: 3) == ["send 1 to sr2 epoch 2 attempt 1"])
    }

    @Test func notOwnerClosesTheLaneForATenthOfASecond() {
        var bench = Self.bench()
        _ = bench.perform(1)
        #expect(bench.reply(1, .refused(.notOwner), from: Self.first) == [])
        #expect(bench.perform(2) == [], "it waits behind the first")
        #expect(bench.wait(.milliseconds(75)) == [])
        #expect(
            bench.wait(.milliseconds(75)) == [
                "send 1 to sr1 epoch 1 attempt 2", "send 2 to sr1 epoch 1 attempt 1",
            ])
    }

    @Test(arguments: [Refusal.overloaded, .unavailable])
    func overloadAndLostLeaseBackOffLongerEachTime(_ refusal: Refusal) {
        var bench = Self.bench()
        _ = bench.perform(1)
        var pauses: [Duration] = []
        for _ in 0..<6 {
            #expect(bench.reply(1, .refused(refusal), from: Self.first) == [])
            let start = bench.now.monotonic
            while bench.wait(RequestMachine.tickPeriod).isEmpty {}
            pauses.append(bench.now.monotonic - start)
        }
        for (pause, expected) in zip(pauses, [50.0, 100, 200, 400, 500, 500]) {
            let range = Duration.milliseconds(expected * 0.8) ... .milliseconds(expected * 1.2 + 25)
            #expect(range.contains(pause), "\(pauses)")
        }
    }

    @Test(arguments: [
        Refusal.intervalTooBrief(minimum: 30_000), .tooManyDevices(limit: 4), .domainFull(limit: 9),
    ])
    func aRefusalForGoodIsTheAnswer(_ refusal: Refusal) {
        var bench = Self.bench()
        _ = bench.perform(1)
        #expect(bench.reply(1, .refused(refusal), from: Self.first) == ["finish 1 \(refusal)"])
    }

    @Test func tooManyPendingAreOverload() {
        var bench = Self.bench()
        for id in 1...8 { _ = bench.perform(UInt64(id)) }
        #expect(bench.perform(9) == ["finish 9 overloaded"])
        _ = bench.reply(3, Self.ok, from: Self.first)
        #expect(bench.perform(10) == ["send 10 to sr1 epoch 1 attempt 1"])
    }

    @Test func aRegistrationIsNotRepeatedAfterTheUnregistrationThatFollowed() {
        var bench = Self.bench()
        _ = bench.perform(1, Self.register("c1"))
        _ = bench.perform(2, Self.register("c2"))
        _ = bench.perform(3, Self.unregister("c1"))
        let told = bench.wait(.milliseconds(400))
        #expect(told.sorted() == ["send 2 to sr1 epoch 1 attempt 2", "send 3 to sr1 epoch 1 attempt 2"])
        // Its reply would have come before.
        let end = bench.reply(3, .unregistered(Position(epoch: 1, seq: 9), count: 1), from: Self.first)
        #expect(end == ["finish 1 unavailable", "finish 3"])
    }

    @Test func theEndOfAnAccountSupersedesItsRegistrationsAndIsSupersededByNewOnes() {
        var bench = Self.bench()
        _ = bench.perform(1, Self.register("c1"))
        _ = bench.perform(2, Self.register("c1", "u2"))
        _ = bench.perform(3, .deleteAccount(AccountID(.user, "u1")))
        #expect(!bench.wait(.milliseconds(400)).contains { $0.hasPrefix("send 1 ") })
        _ = bench.perform(4, Self.register("c9"))
        let told = bench.wait(.milliseconds(1_300))
        #expect(!told.contains { $0.hasPrefix("send 3 ") || $0.hasPrefix("send 1 ") })
        #expect(told.contains { $0.hasPrefix("send 2 ") })
    }

    private static func bind(_ cseq: UInt32, _ contacts: [String]) -> Request.Operation {
        let changes = contacts.map { contact in
            Binding.Change.put(
                PackedContact(Registration(account: "100", contact: contact, sipuser: SIPUserDetails()))!, ttl: 60_000)
        }
        return .bind(Binding(account: "100", callID: "a", cseq: cseq, changes: changes))
    }

    /// What a phone sends as it starts: `Contact: *`, and then all that it has.
    @Test func allContactsOfAPhoneAreNotEndedAgainOnceItHasRegistered() {
        var bench = Self.bench()
        _ = bench.perform(1, Self.bind(1, []))
        _ = bench.perform(2, Self.bind(2, ["c1", "c2"]))
        var told = bench.wait(.milliseconds(400))
        #expect(told == ["send 2 to sr1 epoch 1 attempt 2"])
        _ = bench.perform(3, Self.bind(3, ["c3"]))
        told = bench.wait(.milliseconds(700))
        #expect(told == ["send 3 to sr1 epoch 1 attempt 2"], "one of several may undo it")
    }

    @Test func theClearOfADomainSupersedesAllAndIsSupersededByAll() {
        var bench = Self.bench()
        _ = bench.perform(1, Self.register("c1"))
        _ = bench.perform(2, .clear)
        #expect(bench.wait(.milliseconds(400)) == ["send 2 to sr1 epoch 1 attempt 2"])
        _ = bench.perform(3, .deleteAccount(AccountID(.user, "u2")))
        #expect(bench.wait(.milliseconds(400)) == ["send 3 to sr1 epoch 1 attempt 2"])
    }

    @Test func whatIsFinishedIsForgotten() {
        var bench = Self.bench()
        for id in UInt64(1)...3 { _ = bench.perform(id, Self.register("c\(id)")) }
        for id in [2, 1] as [UInt64] { _ = bench.reply(id, Self.ok, from: Self.first) }
        _ = bench.perform(4, .deleteAccount(AccountID(.user, "u1")))
        #expect(bench.wait(.milliseconds(400)) == ["send 4 to sr1 epoch 1 attempt 2"])
        for id in [3, 4] as [UInt64] { _ = bench.reply(id, Self.ok, from: Self.first) }
        _ = bench.perform(5, Self.register("c1"))
        #expect(bench.reply(5, Self.ok, from: Self.first) == ["finish 5"])
    }

    @Test func oneAccountHasNoMoreThanItsShare() {
        var machine = RequestMachine(seed: 1)
        let now = Moment(monotonic: MonotonicInstant(nanoseconds: 1), wall: 0)
        let vacant = Assignment(
            domain: Self.demo, epoch: 1, revision: 1, owner: nil, standbys: [], cause: .failover, since: 0)
        _ = machine.handle(.assigned([vacant]), at: now)
        func perform(_ id: UInt64, _ contact: String, _ account: String) -> [RequestMachine.Directive] {
            machine.handle(
                .perform(id: id, Self.register(contact, account), on: Self.demo, deadline: .seconds(8)), at: now)
        }
        for id in UInt64(1)...1_024 { #expect(perform(id, "c\(id)", "u1") == []) }
        #expect(perform(2_000, "c", "u1") == [.finish(id: 2_000, .refused(.overloaded))])
        #expect(perform(2_001, "c", "u2") == [])
    }

    @Test func aRequestThatWaitedIsSentOnceAlsoWhenSuperseded() {
        var bench = Self.bench()
        _ = bench.assign(nil, epoch: 1, revision: 2)
        _ = bench.perform(1, Self.register("c1"))
        _ = bench.perform(2, Self.unregister("c1"))
        #expect(
            bench.assign(Self.second, epoch: 2, revision: 3) == [
                "send 1 to sr2 epoch 2 attempt 1", "send 2 to sr2 epoch 2 attempt 1",
            ])
    }
}
