import ClusterRuntime
import SIP
import Testing

@testable import SIPGateway

@Suite struct DeviceProbeTests {
    private let start = MonotonicInstant(nanoseconds: 1_000_000_000)

    private func device(_ number: UInt8, ttl: UInt32, isStream: Bool = false) throws -> DeviceProbe.Device {
        let route = isStream ? try TestRegistrar.stream(UInt64(number)) : try TestRegistrar.route()
        let branch = ProbeBranch(number: UInt64(number))
        return DeviceProbe.Device(key: [number], ttl: ttl, reach: .question([number], route, branch: branch))
    }

    private func gone(_ number: UInt8, ttl: UInt32) -> DeviceProbe.Device {
        DeviceProbe.Device(key: [number], ttl: ttl, reach: .gone)
    }

    private func describe(_ action: DeviceProbe.Action) -> String {
        switch action {
        case .ask(let devices): "ask \(devices.map { $0.key[0] })"
        case .wait: "wait"
        case .makeRoom(let keys): "end \(keys.map { $0[0] })"
        case .refuse: "refuse"
        }
    }

    @Test func theSilentOneWithTheLeastTimeLeftMakesRoom() throws {
        let devices = [try device(1, ttl: 300), try device(2, ttl: 100), try device(3, ttl: 200)]
        var probe = DeviceProbe(devices, needed: 1, at: start)
        #expect(describe(probe.begin()) == "ask [1, 2, 3]")
        #expect(describe(probe.answered(ProbeBranch(number: 2))) == "wait")
        #expect(describe(probe.answered(ProbeBranch(number: 9))) == "wait")
        var trace: [String] = []
        for tenth in 1...20 {
            let action = describe(probe.timePassed(at: start + .milliseconds(100 * tenth)))
            if action != "wait" { trace.append("\(tenth): \(action)") }
        }
        #expect(trace == ["5: ask [1, 3]", "15: ask [1, 3]", "20: end [3, 1]"])
    }

    @Test func whenTooFewAreSilentNobodyIsEnded() throws {
        var probe = DeviceProbe([try device(1, ttl: 1), try device(2, ttl: 2)], needed: 2, at: start)
        #expect(describe(probe.begin()) == "ask [1, 2]")
        #expect(describe(probe.answered(ProbeBranch(number: 1))) == "refuse")
        #expect(describe(DeviceProbe([], needed: 1, at: start).begin()) == "refuse")
        #expect(describe(DeviceProbe([try device(1, ttl: 1)], needed: 2, at: start).begin()) == "refuse")
    }

    @Test func whatIsGoneMakesRoomAtOnce() throws {
        let devices = [try device(1, ttl: 1), gone(2, ttl: 9), gone(3, ttl: 5)]
        #expect(describe(DeviceProbe(devices, needed: 1, at: start).begin()) == "end [3, 2]")
        #expect(describe(DeviceProbe(devices, needed: 2, at: start).begin()) == "end [3, 2]")
        var probe = DeviceProbe(devices, needed: 3, at: start)
        #expect(describe(probe.begin()) == "ask [1]")
        #expect(describe(probe.timePassed(at: start + .seconds(2))) == "end [1, 3, 2]")
    }

    @Test func streamsAreAskedOnce() throws {
        var probe = DeviceProbe(
            [try device(1, ttl: 1, isStream: true), try device(2, ttl: 2)], needed: 1, at: start)
        #expect(describe(probe.begin()) == "ask [1, 2]")
        #expect(describe(probe.timePassed(at: start + .milliseconds(500))) == "ask [2]")
    }

    @Test func answersAreKnownByTheirBranchAtAnyEventLoop() throws {
        let answers = ProbeAnswers()
        let branch = ProbeBranch(number: 0xABC)
        #expect(!answers.take(branch))
        answers.expect([branch])
        #expect(!answers.take(ProbeBranch(number: 1)))
        #expect(answers.answered([branch]).isEmpty)
        #expect(answers.take(try #require(ProbeBranch(SIPText(branch.text)))))
        #expect(!answers.take(branch))
        #expect(answers.answered([branch]) == [branch])
        answers.forget([branch])
        #expect(answers.count == 0)
        #expect(ProbeBranch(.init("z9hG4bK1")) == nil)
    }

    private func origin(_ peer: SIPPeer, _ callID: String = "c", _ cseq: UInt32 = 2) -> FlowBook.Origin {
        FlowBook.Origin(end: FlowBook.End(peer), callID: callID, cseq: cseq)
    }

    private func describe(_ state: FlowBook.State) -> String {
        switch state {
        case .open(let lane, let number, _): "open \(lane) \(number)"
        case .closed: "closed"
        case .unknown: "unknown"
        }
    }

    @Test func aConnectionSaysNothingOfWhatWasNotRegisteredOverIt() throws {
        let book = FlowBook()
        let peer = try TestRegistrar.stream(0).peer
        book.opened(peer, lane: 1, number: 7)
        #expect(describe(book.state(of: origin(peer))) == "unknown")
        book.granted(origin(peer), isReliable: true)
        let contacts = [origin(peer, "c", 1), origin(peer), origin(peer, "c", 3), origin(peer, "d")]
        func states() -> [String] { contacts.map { describe(book.state(of: $0)) } }
        #expect(states() == ["open 1 7", "open 1 7", "unknown", "unknown"])
        // Another connection's end is not this one's.
        book.closed(peer, lane: 1, number: 6)
        #expect(states() == ["open 1 7", "open 1 7", "unknown", "unknown"])
        book.closed(peer, lane: 1, number: 7)
        #expect(states() == ["closed", "closed", "unknown", "unknown"])
        book.opened(peer, lane: 2, number: 9)
        #expect(states() == ["open 2 9", "open 2 9", "unknown", "unknown"])
        #expect(!book.hasHeard(contacts[0]))
    }

    @Test func theLatestRegistrationsAreRemembered() throws {
        let book = FlowBook(capacity: 2)
        let phones = try (1...5).map { origin(try TestRegistrar.route("192.0.2.1", $0).peer) }
        func heard() -> [Bool] { phones.map(book.hasHeard) }
        for phone in phones.prefix(4) { book.granted(phone, isReliable: false) }
        #expect(heard() == [true, true, true, true, false])
        // Those who come again need no more room.
        for phone in phones.prefix(4).suffix(2) { book.granted(phone, isReliable: false) }
        #expect(heard() == [true, true, true, true, false])
        book.granted(phones[4], isReliable: false)
        #expect(heard() == [false, false, true, true, true])
        // What comes over connections takes nothing of it.
        for number in 6...20 {
            book.granted(origin(try TestRegistrar.stream(0, "192.0.2.1", number).peer), isReliable: true)
        }
        #expect(heard() == [false, false, true, true, true])
    }
}
