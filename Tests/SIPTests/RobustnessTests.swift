import SIP
import Testing

/// Whatever comes is a message or an error, and the program goes on.
@Suite struct RobustnessTests {
    @Test(arguments: Vectors.names)
    func everyTruncationIsAMessageOrAnError(_ name: String) throws {
        let bytes = try Vectors.bytes(name)
        var messages = 0
        for end in 0...bytes.count where tryAll(Array(bytes[..<end])) { messages += 1 }
        // Cut within its head no message is whole.
        #expect(messages < bytes.count - 100)
    }

    @Test func randomMutationsAreMessagesOrErrors() throws {
        let vectors = try Vectors.names.map(Vectors.bytes)
        var random = SeededRandom(seed: 0x5EED)
        var messages = 0
        for round in 0..<20_000 {
            var bytes = vectors[round % vectors.count]
            for _ in 0...random.next(below: 4) { mutate(&bytes, vectors, &random) }
            if tryAll(bytes) { messages += 1 }
        }
        // The mutations must not be so wild that nothing is read any more, nor so tame that everything is.
        #expect((2_000...18_000).contains(messages), "\(messages) of 20000 were messages")
    }

    /// Reads, salvages and answers.
    /// - Returns: whether it was a message.
    private func tryAll(_ bytes: [UInt8]) -> Bool {
        if let request = SIPMessage.salvage(bytes) { answer(request) }
        guard let message = try? SIPMessage.parse(bytes) else { return false }
        var reader = ReadEverything()
        reader.read(message)
        if message.method != nil { answer(message) }
        return true
    }

    /// An answer can be read again, and holds no field that the request or the writer did not put there.
    private func answer(_ request: SIPMessage) {
        let bytes = ResponseWriter(400, to: request, received: "192.0.2.1", rport: 5060, toTag: "x").finish()
        do {
            let answer = try SIPMessage.parse(bytes, limits: SIPLimits(headerLineBytes: 65_535))
            #expect(answer.occurrences(of: .via) == request.occurrences(of: .via))
            #expect(answer.headerCount <= answer.occurrences(of: .via) + 5)
        } catch {
            Issue.record("an answer that cannot be read: \(error): \(String(decoding: bytes, as: UTF8.self))")
        }
    }

    private func mutate(_ bytes: inout [UInt8], _ vectors: [[UInt8]], _ random: inout SeededRandom) {
        guard !bytes.isEmpty else { return }
        let index = random.next(below: bytes.count)
        let structure = [UInt8]("\r\n \t\"\\<>;,:=@%?&*[]/\0".utf8)
        switch random.next(below: 6) {
        case 0: bytes[index] = UInt8(random.next(below: 256))
        case 1: bytes[index] = structure[random.next(below: structure.count)]
        case 2: bytes.insert(structure[random.next(below: structure.count)], at: index)
        case 3: bytes.removeSubrange(index..<min(bytes.count, index + 1 + random.next(below: 8)))
        case 4:
            let end = min(bytes.count, index + random.next(below: 40))
            bytes.insert(contentsOf: bytes[index..<end], at: random.next(below: bytes.count))
        default:
            let other = vectors[random.next(below: vectors.count)]
            let start = random.next(below: other.count)
            bytes.insert(contentsOf: other[start..<min(other.count, start + random.next(below: 60))], at: index)
        }
    }

    @Test func linesOfManyFoldsAndCommasAreReadInLinearTime() throws {
        let folds = "REGISTER sip:a SIP/2.0\r\nVia:" + String(repeating: "\r\n ", count: 2_000) + "x\r\n\r\n"
        #expect(try SIPMessage.parse([UInt8](folds.utf8)).first(.via)?.string == "x")
        let commas = "REGISTER sip:a SIP/2.0\r\nContact: " + String(repeating: ",", count: 8_000) + "\r\n\r\n"
        #expect(try SIPMessage.parse([UInt8](commas.utf8)).all(.contact).count == 8_001)
    }
}

/// SplitMix64.
struct SeededRandom {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next(below limit: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((word ^ (word >> 31)) % UInt64(limit))
    }
}
