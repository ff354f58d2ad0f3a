import ClusterRuntime

/// Makes inputs out of inputs, as a seed has it: bytes changed, removed, repeated, put in from another input or out of
/// the grammar's words. It knows nothing of what the code under test does with them; libFuzzer does.
struct Mutator {
    private var random: SplitMix64
    private let words: [[UInt8]]
    private let maximumLength: Int

    /// Values at which numbers turn over, and bytes that mean something in most grammars.
    private static let bytes: [UInt8] =
        [0, 1, 0x7F, 0x80, 0xFF, 0xC0, 0xC1] + Array("\0\t\r\n \"'\\%&*+,-./0:;<=>?@[]_{}".utf8)

    init(seed: UInt64, words: [String], maximumLength: Int) {
        random = SplitMix64(seed: seed)
        self.words = words.map { Array($0.utf8) }
        self.maximumLength = maximumLength
    }

    /// An input near one of these.
    mutating func input(from known: [[UInt8]]) -> [UInt8] {
        var input = known[below(known.count)]
        // Most with one change, some with many: readers are passed through by what is nearly right.
        for _ in 0...(below(4) == 0 ? below(12) : below(2)) { change(&input, known) }
        return Array(input.prefix(maximumLength))
    }

    private mutating func change(_ input: inout [UInt8], _ known: [[UInt8]]) {
        let place = below(input.count + 1)
        let rest = input.count - place
        switch below(9) {
        case 0 where rest > 0: input[place] ^= 1 << UInt8(below(8))
        case 1 where rest > 0: input[place] = Self.bytes[below(Self.bytes.count)]
        case 2: input.insert(Self.bytes[below(Self.bytes.count)], at: place)
        case 3 where rest > 0: input.removeSubrange(place..<place + 1 + below(min(rest, 16)))
        case 4 where rest > 0:
            let part = Array(input[place..<place + 1 + below(min(rest, 32))])
            input.insert(contentsOf: repeatElement(part, count: 1 + below(8)).joined(), at: below(input.count + 1))
        case 5 where !words.isEmpty: input.insert(contentsOf: words[below(words.count)], at: place)
        case 6:
            let other = known[below(known.count)]
            let start = below(other.count + 1)
            input.replaceSubrange(place..., with: other[start...])
        case 7 where rest > 0: input.removeSubrange(place...)
        default: for _ in 0..<1 + below(4) { input.insert(UInt8(truncatingIfNeeded: random.next()), at: place) }
        }
    }

    private mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }
}
