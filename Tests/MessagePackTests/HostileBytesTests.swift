import MessagePack
import Testing

/// What a broken or hostile sender can put into a frame: the answer is always an error, never memory or a crash.
struct HostileBytesTests {
    /// Every length form claiming far more than there is.
    @Test(
        arguments: [
            [0xdd, 0xff, 0xff, 0xff, 0xff], [0xdf, 0xff, 0xff, 0xff, 0xff], [0xdd, 0x7f, 0xff, 0xff, 0xff, 0xc0],
            [0xdf, 0x7f, 0xff, 0xff, 0xff, 0xc0], [0xdb, 0xff, 0xff, 0xff, 0xff], [0xc6, 0xff, 0xff, 0xff, 0xff, 0x00],
            [0xc9, 0xff, 0xff, 0xff, 0xff, 0x01], [0xc9, 0xff, 0xff, 0xff, 0xfe, 0x01], [0xdc, 0xff, 0xff],
            [0xde, 0xff, 0xff],
            [0x9f], [0x8f], [0xbf], [0xc7, 0xff], [0xd8], [],
        ] as [[UInt8]])
    func lengthsBeyondTheBytesAreTruncation(bytes: [UInt8]) {
        expect(.truncated, from: bytes) { _ in }
    }

    /// Each array claims as many elements as bytes remain; together they would cost the square of the frame.
    @Test func nestedClaimsShareOneBudget() {
        var bytes: [UInt8] = []
        for _ in 0..<8 { bytes += [0xdd, 0x00, 0x0f, 0xff, 0x00] }
        bytes += [UInt8](repeating: 0xc0, count: 1 << 20)
        expect(.truncated, from: bytes) { _ in }
    }

    @Test func neverUsedByteIsMalformed() {
        expect(.malformed, from: [0xc1]) { _ in }
        expect(.malformed, from: [0x92, 0x01, 0xc1]) { _ in }
    }

    @Test func bytesAfterTheValueAreRefused() {
        expect(.trailingBytes(2), from: [0x01, 0x02, 0x03]) { _ in }
        expect(.trailingBytes(1), from: [0x90, 0xc0]) { _ in }
    }

    @Test func nestingIsBounded() throws {
        let eight = [UInt8](repeating: 0x91, count: 7) + [0x90]
        try MessagePack.decode(eight) { _ in }
        expect(.tooDeep(8), from: [0x91] + eight) { _ in }
        expect(.tooDeep(8), from: [UInt8](repeating: 0x81, count: 100_000)) { _ in }
        let deepest = [UInt8](repeating: 0x91, count: MessagePack.deepest - 1) + [0x90]
        try MessagePack.decode(deepest, maximumDepth: MessagePack.deepest) { _ in }
        #expect(throws: MessagePackError.tooDeep(MessagePack.deepest)) {
            try MessagePack.decode([0x91] + deepest, maximumDepth: MessagePack.deepest) { _ in }
        }
        #expect(throws: MessagePackError.tooDeep(1)) { try MessagePack.decode([0x91, 0x90], maximumDepth: 1) { _ in } }
    }

    @Test(
        arguments: [
            [0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82],
        ] as [[UInt8]])
    func stringsMustBeUTF8(text: [UInt8]) {
        expect(.invalidText, from: [0xa0 | UInt8(text.count)] + text) { value throws(MessagePackError) in
            _ = try value.string()
        }
    }

    @Test func aMessageCutAnywhereIsTruncated() throws {
        let whole = everyKind()
        try MessagePack.decode(whole) { _ in }
        for count in 0..<whole.count {
            expect(.truncated, from: Array(whole[..<count])) { _ in }
        }
    }

    /// Seeded noise and mutations of a good value; whatever parses is read through to the last byte.
    @Test func noiseIsReadOrRefused() {
        var generator = SplitMix(state: 0x5eed)
        let whole = everyKind()
        var parsed = 0
        var mostPerByte = 0.0
        for round in 0..<5_000 {
            var bytes = whole
            if round % 2 == 0 {
                for _ in 0...generator.next() % 3 {
                    bytes[Int(generator.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: generator.next())
                }
            } else {
                bytes = (0..<generator.next() % 64).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            }
            if let count = try? MessagePack.decode(bytes, { value throws(MessagePackError) in try walk(value) }) {
                parsed += 1
                mostPerByte = max(mostPerByte, Double(count) / Double(bytes.count))
            }
        }
        #expect(mostPerByte <= 1)
        #expect(parsed > 250, "the noise must reach past the parser")
    }

    private func walk(_ value: MessagePackValue) throws(MessagePackError) -> Int {
        if let array = try? value.array() {
            var count = 1
            for index in 0..<array.count { count += try walk(array[index]) }
            return count
        }
        if let map = try? value.map() {
            var count = 1
            for index in 0..<map.count {
                let entry = try map.entry(index)
                count += try walk(entry.key) + walk(entry.value)
            }
            return count
        }
        _ = try? value.string()
        _ = try? value.binary()
        _ = try? value.integer()
        return 1
    }

    private func everyKind() -> [UInt8] {
        encoded {
            $0.array(14)
            for value in [0, -1, 200, -200, 70_000, -70_000, Int64.max, .min] { $0.integer(value) }
            $0.string("naïve 字")
            $0.string(String(repeating: "s", count: 300))
            $0.binary([UInt8](repeating: 1, count: 40))
            $0.map(1)
            $0.boolean(true)
            $0.null()
            $0.double(.pi)
            $0.raw([0xd6, 0x05, 1, 2, 3, 4])
        }
    }
}

private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
