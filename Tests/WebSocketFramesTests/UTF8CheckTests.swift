import Testing

@testable import WebSocketFrames

/// Judged by the standard library, which is not asked in production since it cannot go on where a text was cut.
@Suite struct UTF8CheckTests {
    private func isText(_ pieces: [ArraySlice<UInt8>]) -> Bool {
        var check = UTF8Check()
        return pieces.allSatisfy { piece in piece.withUnsafeBytes { check.accepts($0) } } && check.isComplete
    }

    private func isTextByLibrary(_ bytes: [UInt8]) -> Bool { String(validating: bytes, as: UTF8.self) != nil }

    @Test func everyPairOfBytesAndEveryBeginningOfLongerOnesIsJudgedAsByTheLibrary() {
        for first in UInt8.min...UInt8.max {
            for second in UInt8.min...UInt8.max {
                for rest in [[], [0x80], [0xbf, 0x80], [0x41], [0x80, 0x80, 0x80]] as [[UInt8]] {
                    let bytes = [first, second] + rest
                    #expect(isText([bytes[...]]) == isTextByLibrary(bytes), "\(bytes)")
                }
            }
        }
    }

    @Test func randomBytesCutAnywhereAreJudgedAsByTheLibrary() {
        var random = Random(state: 7)
        // Bytes at the edges of what characters are made of come up often.
        let edges: [UInt8] = [0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef]
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 1...24, using: &random)).map { _ in
                Bool.random(using: &random)
                    ? edges.randomElement(using: &random) ?? 0 : UInt8.random(in: 0...255, using: &random)
            }
            let cut = Int.random(in: 0...bytes.count, using: &random)
            #expect(isText([bytes[..<cut], bytes[cut...]]) == isTextByLibrary(bytes), "\(bytes) cut at \(cut)")
        }
    }

    @Test func aTextIsRefusedAtTheFirstByteThatNothingCanMakeRight() {
        for (bytes, accepted) in [
            ([0xe0, 0x80], 1), ([0xed, 0xa0], 1), ([0xf4, 0x90], 1), ([0xf0, 0x8f], 1), ([0xc0], 0), ([0xf5], 0),
            ([0x41, 0xff], 1), ([0xe2, 0x82, 0x41], 2),
        ] as [([UInt8], Int)] {
            var check = UTF8Check()
            let count = bytes.prefix { byte in withUnsafeBytes(of: byte) { check.accepts($0) } }.count
            #expect(count == accepted, "\(bytes)")
        }
    }
}

/// SplitMix64, so that a failure can be repeated.
struct Random: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
