import ClusterRuntime
import Crypto
import Testing

@testable import SIPGateway

@Suite struct NonceTests {
    private let key = SymmetricKey(size: .bits256)
    private let network = "192.0.2.1"

    @Test func aNonceIsKnownAgain() {
        for made in [0, 1_700_000_000_000, Int64.max] {
            let nonce = Nonce(made: made, number: .max - 3)
            let text = nonce.text(key: key, domain: "demo.example", network: network)
            #expect(text.utf8.count == Nonce.length)
            #expect(Nonce(text.utf8, key: key, domain: "demo.example", network: network) == nonce)
        }
    }

    @Test func anyOtherTextIsNone() {
        let text = Nonce(made: 5, number: 6).text(key: key, domain: "demo.example", network: network)
        func isKnown(_ text: [UInt8], domain: String = "demo.example", network: String = "192.0.2.1") -> Bool {
            Nonce(text, key: key, domain: domain, network: network) != nil
        }
        let bytes = Array(text.utf8)
        #expect(isKnown(bytes))
        #expect(!isKnown(bytes, domain: "other.example"))
        #expect(!isKnown(bytes, network: "192.0.2.2"))
        #expect(Nonce(bytes, key: SymmetricKey(size: .bits256), domain: "demo.example", network: network) == nil)
        for index in bytes.indices {
            var changed = bytes
            changed[index] = changed[index] == 48 ? 49 : 48
            #expect(!isKnown(changed), "byte \(index)")
            #expect(!isKnown(Array(bytes[..<index])))
        }
        #expect(!isKnown(bytes + [48]))
        #expect(!isKnown(Array(repeating: 255, count: Nonce.length)))
    }
}

@Suite struct NonceBookTests {
    private func nonce(_ number: Int) -> Nonce { Nonce(made: Int64(number), number: UInt64(number)) }

    /// Whether each use of a nonce with a count is good, one after the other.
    private func uses(_ all: [(nonce: Int, count: UInt32)], capacity: Int) -> [Bool] {
        var book = NonceBook(capacity: capacity)
        return all.map { book.use(nonce($0.nonce), count: $0.count) }
    }

    @Test func aCountIsGoodOnceInAnyOrderAmongTheLatest() {
        #expect(uses([(1, 70), (1, 70), (1, 7), (1, 7)], capacity: 9) == [true, false, true, false])
        // Too far back to be told apart.
        #expect(uses([(1, 70), (1, 6)], capacity: 9) == [true, false])
        #expect(uses([(1, 70), (1, .max), (1, 70)], capacity: 9) == [true, true, false])
        #expect(uses([(2, 0), (2, 0), (2, 1)], capacity: 9) == [true, false, true])
    }

    @Test func whatWasForgottenIsUsedUp() {
        let full: [(Int, UInt32)] = [(1, 1), (2, 1), (3, 1)]
        let later: [(Int, UInt32)] = [(1, 1), (1, 2), (2, 2), (3, 2)]
        #expect(uses(full + later, capacity: 2) == [true, true, true, false, false, true, true])
        // Older than what was forgotten.
        #expect(uses(full + [(0, 1), (4, 1)], capacity: 2) == [true, true, true, false, true])
    }

    @Test func aClockThatIsSetBackMakesNoNonceUsed() {
        var book = NonceBook(capacity: 2)
        let nonces: [(made: Int64, number: UInt64)] = [(1_000, 1), (1_000, 2), (1_000, 3), (1, 4), (2_000, 1)]
        let good = nonces.map { book.use(Nonce(made: $0.made, number: $0.number), count: 1) }
        #expect(good == [true, true, true, true, false])
    }

    /// Against a set of everything that was ever used: the book never takes a count twice, and refuses one that was not
    /// used only for being 64 or more behind.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func theBookAgreesWithASet(seed: UInt64) {
        struct Use: Hashable {
            let nonce: Int
            let count: UInt32
        }
        var random = SplitMix64(seed: seed)
        var book = NonceBook(capacity: 100)
        var used: Set<Use> = []
        var highest: [Int: UInt32] = [:]
        for _ in 0..<5_000 {
            let number = Int.random(in: 1...8, using: &random)
            let top = highest[number] ?? 0
            let step = Int64.random(in: -80...(Bool.random(using: &random) ? 3 : 130), using: &random)
            let use = Use(nonce: number, count: UInt32(clamping: Int64(top) + step))
            let isTooOld = top >= 64 && use.count <= top - 64
            let isGood = book.use(nonce(number), count: use.count)
            #expect(isGood == (!used.contains(use) && !isTooOld), "seed \(seed), \(use), highest \(top)")
            if isGood {
                used.insert(use)
                highest[number] = max(top, use.count)
            }
        }
    }
}
