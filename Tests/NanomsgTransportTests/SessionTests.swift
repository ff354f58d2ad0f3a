public import ClusterRuntime
import Testing

@testable import NanomsgTransport

/// The session machine alone: two or three lives in one test, frames carried by hand.
struct SessionTests {
    /// One life of a node with its clock.
    struct Life {
        var table: SessionTable
        var now = MonotonicInstant(nanoseconds: 1_000_000_000)

        init(
            _ name: String, incarnation: UInt64 = 1, peers: [String] = ["a", "b"], secret: [UInt8]? = secret,
            nonce: UInt8
        ) {
            table = SessionTable(
                node: NodeID(name: NodeName(name), incarnation: incarnation),
                peers: peers.filter { $0 != name }.map { NodeName($0) }, secret: secret,
                nonce: [UInt8](repeating: nonce, count: 32), maximumFrame: 1 << 20)
        }

        /// The hello that is due now, if one is.
        mutating func hello(to peer: String) -> [UInt8]? {
            let peer = NodeName(peer)
            guard let due = table.helloDue(to: peer), due <= now else { return nil }
            defer { table.helloSent(to: peer, at: now) }
            return table.hello(to: peer, entropy: [UInt8](repeating: 9, count: 12))
        }

        mutating func data(_ text: String, to peer: String) -> [UInt8]? {
            table.ticket(to: NodeName(peer))?.seal(Array(text.utf8))
        }

        mutating func receive(_ frame: [UInt8]) -> Received {
            frame.withUnsafeBytes { bytes in
                switch table.examine(bytes) {
                case .hello: return .hello
                case .dropped(let reason, _): return .dropped(reason)
                case .data(let header, let key, let length):
                    let opened = key.open(
                        UnsafeRawBufferPointer(rebasing: bytes[length...]),
                        header: UnsafeRawBufferPointer(rebasing: bytes[..<length]))
                    guard let opened else { return .dropped(.forged) }
                    if let reason = table.accept(header) { return .dropped(reason) }
                    return .data(String(decoding: opened, as: UTF8.self), header.sender)
                }
            }
        }

        func canSend(to peer: String) -> Bool { table.session(with: NodeName(peer))?.sending != nil }
    }

    enum Received: Equatable {
        case hello
        case data(String, NodeID)
        case dropped(DropReason)
    }

    static let secret = [UInt8](repeating: 0x5a, count: 32)
    static let a1 = NodeID(name: "a", incarnation: 1)

    /// Carries hellos to and fro, `step` apart, until both can send; records how many were needed.
    static func connect(_ a: inout Life, _ b: inout Life, losing lost: Set<Int> = [], limit: Int = 400) -> Int? {
        var sent = 0
        for _ in 0..<limit {
            for fromA in [true, false] {
                guard
                    let frame = fromA
                        ? a.hello(to: b.table.node.name.rawValue) : b.hello(to: a.table.node.name.rawValue)
                else { continue }
                defer { sent += 1 }
                if lost.contains(sent) { continue }
                #expect((fromA ? b.receive(frame) : a.receive(frame)) == .hello)
            }
            if a.canSend(to: b.table.node.name.rawValue) && b.canSend(to: a.table.node.name.rawValue) { return sent }
            a.now += .milliseconds(5)
            b.now += .milliseconds(5)
        }
        return nil
    }

    static func connected(secret: [UInt8]? = secret) -> (Life, Life) {
        var a = Life("a", secret: secret, nonce: 0xa1)
        var b = Life("b", secret: secret, nonce: 0xb1)
        #expect(connect(&a, &b) != nil)
        return (a, b)
    }

    @Test(arguments: [secret, nil])
    func bothStartAtOnceAndAreReadyWithin50Milliseconds(secret: [UInt8]?) {
        var a = Life("a", secret: secret, nonce: 0xa1)
        var b = Life("b", secret: secret, nonce: 0xb1)
        let start = a.now
        #expect(Self.connect(&a, &b).map { $0 <= 4 } == true)
        #expect(a.now - start <= .milliseconds(50))
        #expect(b.receive(a.data("one", to: "b")!) == .data("one", Self.a1))
        #expect(a.receive(b.data("two", to: "a")!) == .data("two", NodeID(name: "b", incarnation: 1)))
        #expect(a.hello(to: "b") == nil && b.hello(to: "a") == nil, "nothing is left to say")
    }

    @Test func anyLostHellosAreMadeUpFor() {
        for pattern in 0..<64 {
            var a = Life("a", nonce: 0xa1)
            var b = Life("b", nonce: 0xb1)
            let lost = Set((0..<6).filter { pattern & (1 << $0) != 0 })
            #expect(Self.connect(&a, &b, losing: lost) != nil, "lost \(lost)")
            #expect(b.receive(a.data("x", to: "b")!) == .data("x", Self.a1))
        }
    }

    @Test func unansweredHellosGetRarer() {
        var a = Life("a", nonce: 0xa1)
        var times: [Int64] = []
        let start = a.now
        while a.now - start < .seconds(3) {
            if a.hello(to: "b") != nil { times.append((a.now - start).milliseconds) }
            a.now += .milliseconds(1)
        }
        #expect(times == [0, 50, 150, 350, 750, 1250, 1750, 2250, 2750])
    }

    @Test func aFloodOfHellosIsAnsweredAtItsOwnPace() {
        var (a, b) = Self.connected()
        var answers = 0
        let question = Life("a", nonce: 0xa1).table.hello(to: "b", entropy: [UInt8](repeating: 3, count: 12))!
        for _ in 0..<1_000 {
            #expect(b.receive(question) == .hello)
            if b.hello(to: "a") != nil { answers += 1 }
            b.now += .milliseconds(1)
        }
        #expect((90...101).contains(answers))
        #expect(b.receive(a.data("still there", to: "b")!) == .data("still there", Self.a1))
    }

    /// Both lives go on, and with them their keys: a counter that was begun anew would be used twice.
    @Test func aPeerThatLeftAndComesBackGoesOnWhereItWas() {
        var (a, b) = Self.connected()
        var recorded: [UInt8] = []
        for number in 1...100 {
            #expect(b.receive(a.data("\(number)", to: "b")!) == .data("\(number)", Self.a1))
            recorded = b.data("\(number)", to: "a")!
            #expect(a.receive(recorded) == .data("\(number)", NodeID(name: "b", incarnation: 1)))
        }
        a.table.leave("b")
        #expect(a.receive(b.data("too late", to: "a")!) == .dropped(.unknownSender))
        #expect(a.data("nobody", to: "b") == nil)
        a.table.join("b")
        #expect(a.table.ticket(to: "b")?.header.counter == 101)
        #expect(b.receive(a.data("back", to: "b")!) == .data("back", Self.a1))
        #expect(a.receive(recorded) == .dropped(.replayed))
        #expect(a.receive(b.data("back too", to: "a")!) == .data("back too", NodeID(name: "b", incarnation: 1)))
    }

    /// It must not be taken without its counter: it could be taken again when the peer is back.
    @Test func aFrameThatIsBeingOpenedWhenItsSenderLeavesIsDropped() {
        var (a, b) = Self.connected()
        let frame = b.data("x", to: "a")!
        guard case .data(let header, _, _) = frame.withUnsafeBytes({ a.table.examine($0) }) else {
            Issue.record("the frame is not taken")
            return
        }
        a.table.leave("b")
        #expect(a.table.accept(header) == .unknownSender)
    }

    @Test func aRestartIsToldByTheFirstHelloOfTheNewLifeAlone() {
        var (a, b) = Self.connected()
        func hasRestarted(_ hello: [UInt8]) -> Bool? {
            guard case .hello(_, _, let hasRestarted) = hello.withUnsafeBytes({ b.table.examine($0) }) else {
                return nil
            }
            return hasRestarted
        }
        let old = a.table.hello(to: "b", entropy: [UInt8](repeating: 1, count: 12))!
        #expect(hasRestarted(old) == false)
        var again = Life("a", incarnation: 2, nonce: 0xa2)
        let first = again.hello(to: "b")!
        #expect(hasRestarted(first) == true)
        #expect(hasRestarted(first) == false)
        #expect(hasRestarted(old) == nil)
        #expect(a.canSend(to: "b"))
    }

    @Test func aQuestionIsAnsweredOnceAndKnownToBeOne() {
        var (a, b) = Self.connected()
        #expect(b.table.standing(with: "a").signs.asked == 0)
        a.now += .seconds(1)
        b.now += .seconds(1)
        a.table.ask("b")
        #expect(b.receive(a.hello(to: "b")!) == .hello)
        #expect(b.table.standing(with: "a").signs.asked == 1)
        let heard = a.table.standing(with: "b").signs.heard
        #expect(a.receive(b.hello(to: "a")!) == .hello)
        #expect(a.table.standing(with: "b").signs.heard == heard + 1)
        #expect(a.hello(to: "b") == nil && b.hello(to: "a") == nil, "nothing is left to say")
    }

    @Test func framesAreTakenOnceAndInOrder() {
        var (a, b) = Self.connected()
        let first = a.data("1", to: "b")!
        let second = a.data("2", to: "b")!
        #expect(b.receive(second) == .data("2", Self.a1))
        #expect(b.receive(second) == .dropped(.replayed))
        #expect(b.receive(first) == .dropped(.replayed), "a frame that was overtaken counts as lost")
        #expect(b.receive(a.data("3", to: "b")!) == .data("3", Self.a1))
    }

    @Test func recordedHellosChangeNothing() {
        var a = Life("a", nonce: 0xa1)
        var b = Life("b", nonce: 0xb1)
        let recorded = a.hello(to: "b")!
        #expect(b.receive(recorded) == .hello)
        #expect(Self.connect(&a, &b) != nil)
        #expect(b.receive(a.data("1", to: "b")!) == .data("1", Self.a1))
        #expect(b.receive(recorded) == .hello)
        #expect(b.receive(a.data("2", to: "b")!) == .data("2", Self.a1))
        #expect(a.receive(b.data("3", to: "a")!) == .data("3", NodeID(name: "b", incarnation: 1)))
    }

    @Test func aRestartedPeerIsKnownByItsNewLife() {
        var (a, b) = Self.connected()
        let old = a.data("old", to: "b")!
        let oldHello = a.table.hello(to: "b", entropy: [UInt8](repeating: 1, count: 12))!
        var again = Life("a", incarnation: 2, nonce: 0xa2)
        again.now = b.now
        // What b still sends to the earlier life does not open, and makes the new one introduce itself.
        #expect(again.receive(b.data("to the dead", to: "a")!) == .dropped(.unknownKey))
        #expect(Self.connect(&again, &b) != nil)
        #expect(b.receive(again.data("new", to: "b")!) == .data("new", NodeID(name: "a", incarnation: 2)))
        #expect(again.receive(b.data("hello", to: "a")!) == .data("hello", NodeID(name: "b", incarnation: 1)))
        #expect(b.receive(old) == .dropped(.staleIncarnation))
        #expect(b.receive(oldHello) == .dropped(.staleIncarnation))
        #expect(b.receive(again.data("newer", to: "b")!) == .data("newer", NodeID(name: "a", incarnation: 2)))
    }

    /// The side that did not restart has data to send, and the new life has lost its first hello.
    @Test func dataToANewLifeBringsTheSessionBack() {
        var (a, _) = Self.connected()
        var again = Life("b", incarnation: 2, nonce: 0xb2)
        again.now = a.now
        _ = again.hello(to: "a")
        again.now += .milliseconds(10)
        #expect(again.receive(a.data("x", to: "b")!) == .dropped(.unknownKey))
        let answer = again.hello(to: "a")
        #expect(answer != nil, "an answer does not wait for the next retry")
        #expect(a.receive(answer!) == .hello)
        #expect(!a.canSend(to: "b"), "the key of the earlier life is not used any more")
        #expect(Self.connect(&a, &again) != nil)
    }

    @Test func oneLifeHasOneNonce() {
        var (_, b) = Self.connected()
        let impostor = Life("a", nonce: 0xee).table.hello(to: "b", entropy: [UInt8](repeating: 1, count: 12))!
        #expect(b.receive(impostor) == .dropped(.forged))
    }

    @Test func anotherClustersSecretOpensNothing() {
        var a = Life("a", secret: [UInt8](repeating: 1, count: 32), nonce: 0xa1)
        var b = Life("b", nonce: 0xb1)
        #expect(b.receive(a.hello(to: "b")!) == .dropped(.forged))
        #expect(a.receive(b.hello(to: "a")!) == .dropped(.forged))
        #expect(!a.canSend(to: "b") && !b.canSend(to: "a"))
    }

    @Test func sealedAndUnsealedNodesRefuseEachOther() {
        var open = Life("a", secret: nil, nonce: 0xa1)
        var closed = Life("b", nonce: 0xb1)
        #expect(closed.receive(open.hello(to: "b")!) == .dropped(.sealing))
        #expect(open.receive(closed.hello(to: "a")!) == .dropped(.sealing))
        var (a, b) = Self.connected()
        var frame = a.data("x", to: "b")!
        frame[4] = 0
        #expect(b.receive(frame) == .dropped(.sealing))
    }

    @Test func countersHoldWithoutASecretToo() {
        var (a, b) = Self.connected(secret: nil)
        let frame = a.data("clear", to: "b")!
        #expect(String(decoding: frame, as: UTF8.self).contains("clear"))
        #expect(b.receive(frame) == .data("clear", Self.a1))
        #expect(b.receive(frame) == .dropped(.replayed))
    }

    @Test func everyChangedByteOfAFrameIsNoticed() {
        var (a, b) = Self.connected()
        for index in 0..<a.data("text", to: "b")!.count {
            for bit in [0x01, 0x80] as [UInt8] {
                var frame = a.data("text", to: "b")!
                frame[index] ^= bit
                guard case .dropped = b.receive(frame) else {
                    Issue.record("bit \(bit) of byte \(index) was changed and nobody noticed")
                    continue
                }
            }
        }
        #expect(b.receive(a.data("whole", to: "b")!) == .data("whole", Self.a1))
    }

    @Test func everyChangedByteOfAHelloIsNoticed() {
        let hello = Life("a", nonce: 0xa1).table.hello(to: "b", entropy: [UInt8](repeating: 1, count: 12))!
        for index in hello.indices {
            var frame = hello
            frame[index] ^= 1
            var b = Life("b", nonce: 0xb1)
            guard case .dropped = b.receive(frame) else {
                Issue.record("byte \(index) was changed and nobody noticed")
                continue
            }
        }
    }

    @Test func aFrameReflectedToItsSenderIsRefused() {
        var (a, _) = Self.connected()
        let hello = a.table.hello(to: "b", entropy: [UInt8](repeating: 1, count: 12))!
        #expect(a.receive(a.data("mine", to: "b")!) == .dropped(.unknownSender))
        #expect(a.receive(hello) == .dropped(.unknownSender))
    }

    @Test func helloForAnotherIsRefused() {
        var c = Life("c", peers: ["a", "b", "c"], nonce: 0xc1)
        var a = Life("a", peers: ["a", "b", "c"], nonce: 0xa1)
        #expect(c.receive(a.hello(to: "b")!) == .dropped(.misdirected))
    }

    @Test func garbageIsNamed() {
        var (a, b) = Self.connected()
        let good = a.data("x", to: "b")!
        func changed(_ index: Int, to byte: UInt8) -> [UInt8] {
            var frame = good
            frame[index] = byte
            return frame
        }
        #expect(b.receive([]) == .dropped(.malformed))
        #expect(b.receive([UInt8](repeating: 0, count: 100)) == .dropped(.malformed))
        #expect(b.receive(changed(2, to: 2)) == .dropped(.version))
        #expect(b.receive(changed(3, to: 7)) == .dropped(.malformed))
        #expect(b.receive(changed(5, to: 0)) == .dropped(.malformed))
        #expect(b.receive(changed(5, to: 255)) == .dropped(.malformed))
        #expect(b.receive(changed(6, to: UInt8(ascii: "z"))) == .dropped(.unknownSender))
        #expect(b.receive(changed(6, to: 0xff)) == .dropped(.malformed))
        #expect(b.receive([UInt8](repeating: 0, count: (1 << 20) + 1)) == .dropped(.oversized))
        for count in good.indices {
            guard case .dropped = b.receive(Array(good[..<count])) else {
                Issue.record("a frame cut to \(count) bytes was taken")
                continue
            }
        }
    }
}

extension NodeName: ExpressibleByStringLiteral {
    public init(stringLiteral value: String) { self.init(value) }
}
