import NIOCore
import Testing

@testable import WebSocketFrames

/// `Tests/websocket/cases.md` has what the standards ask for; here is what can only be seen from inside.
@Suite struct MessageReaderTests {
    private static func frame(
        _ opcode: UInt8, _ payload: [UInt8], fin: Bool = true, reserved: UInt8 = 0, key: [UInt8] = [1, 2, 3, 4]
    ) -> [UInt8] {
        var bytes = [(fin ? 0x80 : 0) | reserved << 4 | opcode]
        switch payload.count {
        case ..<126: bytes.append(0x80 | UInt8(payload.count))
        case ..<65_536: bytes += [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
        default: bytes += [0x80 | 127] + (0..<8).reversed().map { UInt8(truncatingIfNeeded: payload.count >> ($0 * 8)) }
        }
        return bytes + key + payload.enumerated().map { $1 ^ key[$0 % 4] }
    }

    /// What the actions are, as texts that can be compared.
    private func actions(_ reader: inout MessageReader, _ pieces: [[UInt8]]) -> [String] {
        var found: [String] = []
        for piece in pieces {
            reader.feed(ByteBuffer(bytes: piece))
            while let action = reader.next() {
                switch action {
                case .text(let bytes): found.append("text \(String(buffer: bytes))")
                case .binary(let bytes): found.append("binary \(bytes.readableBytes)")
                case .ping(let bytes): found.append("ping \(bytes.readableBytes)")
                case .pong: found.append("pong")
                case .close(let code): found.append("close \(code.map(String.init) ?? "")")
                case .fail(let code, _): found.append("fail \(code.rawValue)")
                }
            }
        }
        return found
    }

    @Test func bytesAreUnderstoodHoweverTheyArrive() {
        let payload = (0..<70_000).map { UInt8(truncatingIfNeeded: $0) }
        let bytes =
            Self.frame(1, Array("Hel".utf8), fin: false) + Self.frame(9, [1, 2, 3]) + Self.frame(0, Array("lo".utf8))
            + Self.frame(2, payload, key: [0xff, 0, 0x80, 7]) + Self.frame(10, []) + Self.frame(8, [3, 232])
        let expected = ["ping 3", "text Hello", "binary 70000", "pong", "close 1000"]
        var random = Random(state: 1)
        for longest in [1, 7, 1_000, 100_000] {
            var reader = MessageReader(maximumBytes: 70_000, takesBinary: true)
            var rest = bytes[...]
            var pieces: [[UInt8]] = []
            while !rest.isEmpty {
                pieces.append(Array(rest.prefix(Int.random(in: 1...longest, using: &random))))
                rest = rest.dropFirst(pieces.last?.count ?? 0)
            }
            #expect(actions(&reader, pieces) == expected, "in pieces of at most \(longest)")
        }
    }

    @Test(arguments: 0..<9)
    func payloadsAreUnmaskedAtEveryLength(_ length: Int) {
        for base in [0, 8, 120, 65_536] {
            let payload = (0..<(base + length)).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            var reader = MessageReader(maximumBytes: 100_000, takesBinary: true)
            reader.feed(ByteBuffer(bytes: Self.frame(2, payload, key: [0xde, 0xad, 0xbe, 0xef])))
            guard case .binary(let bytes)? = reader.next() else {
                Issue.record("no message of \(payload.count) bytes")
                continue
            }
            #expect(Array(bytes.readableBytesView) == payload)
        }
    }

    @Test func aBadHeadIsToldBeforeItsPayload() {
        for (bytes, told) in [
            ([0xc1], "fail 1002"), ([0x83], "fail 1002"), ([0x09], "fail 1002"), ([0x81, 0x05], "fail 1002"),
            ([0x89, 0xfe], "fail 1002"), ([0x81, 0xfe, 0x00, 0x7d], "fail 1002"),
            ([0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 1], "fail 1009"),
            ([0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], "fail 1002"),
        ] as [([UInt8], String)] {
            var reader = MessageReader(maximumBytes: 65_536)
            #expect(actions(&reader, [bytes]) == [told], "\(bytes)")
            // From then on it takes in nothing.
            #expect(actions(&reader, [Self.frame(1, [65])]).isEmpty)
        }
    }

    @Test func whatIsHeldForLongHoldsNoMoreMemoryThanItNeeds() {
        var large = ByteBuffer(repeating: 0, count: 65_536)
        large.clear()
        large.writeBytes(Self.frame(1, [65], fin: false) + [0x80])
        #expect(large.storageCapacity >= 65_536)
        #expect(large.compacted.storageCapacity < 64 && large.compacted == large)
        #expect(ByteBuffer(repeating: 1, count: 60_000).compacted.storageCapacity >= 60_000)
        var reader = MessageReader(maximumBytes: 1_000)
        reader.feed(large)
        if reader.next() != nil { Issue.record("something came of half a message") }
        reader.feed(ByteBuffer(bytes: Self.frame(0, [66]).dropFirst()))
        guard case .text(let text)? = reader.next() else {
            Issue.record("no text")
            return
        }
        #expect(text == ByteBuffer(string: "AB") && text.storageCapacity < 64)
    }

    @Test func emptyFragmentsHaveALimit() {
        var reader = MessageReader(maximumBytes: 1_000)
        let opening = Self.frame(1, [], fin: false)
        let fragments = Array(repeating: Self.frame(0, [], fin: false), count: 1_024)
        #expect(actions(&reader, [opening] + fragments) == ["fail 1009"])
    }

    @Test func randomBytesNeverBreakIt() {
        var random = Random(state: 3)
        for _ in 0..<20_000 {
            var reader = MessageReader(
                maximumBytes: 4_096, takesBinary: true, inflater: Bool.random(using: &random) ? Self.inflater : nil)
            var bytes = (0..<Int.random(in: 1...64, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            // Mostly heads that get somewhere.
            bytes[0] = [0x81, 0xc1, 0x01, 0x41, 0x80, 0x88, 0x89, bytes[0]].randomElement(using: &random) ?? 0
            if bytes.count > 1 { bytes[1] = 0x80 | bytes[1] & 0x1f }
            _ = actions(&reader, [bytes, bytes])
        }
    }

    nonisolated private static var inflater: Inflater { Inflater() }
}
