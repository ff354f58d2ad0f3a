import ClusterRuntime
import MessagePack
import RegistrarEvents
import Testing

struct MessageCodingTests {
    private func encoded(_ messages: [Message]) -> [UInt8] {
        var writer = MessagePackWriter(reserving: 4_096)
        writer.array(messages.count)
        for message in messages { message.encode(into: &writer) }
        return writer.finish()
    }

    private func encoded(_ message: Message) -> [UInt8] {
        var writer = MessagePackWriter(reserving: 4_096)
        message.encode(into: &writer)
        return writer.finish()
    }

    @Test(arguments: ReplicationFixture.seeds)
    func everyKindComesBackAsItWas(seed: UInt64) throws {
        print("seed \(seed)")
        var samples = MessageSamples(seed: seed)
        for _ in 0..<60 {
            let messages = try samples.oneOfEach()
            let (decoded, skipped) = try MessageBatch.decode(encoded(messages)[...])
            #expect(decoded == messages)
            #expect(skipped == 0)
        }
    }

    @Test func kindsOfLaterVersionsAreSkipped() throws {
        var samples = MessageSamples(seed: 1)
        let known = try samples.oneOfEach()
        var writer = MessagePackWriter(reserving: 4_096)
        writer.array(known.count * 2)
        for (index, message) in known.enumerated() {
            writer.array(2)
            writer.unsigned(index % 2 == 0 ? 1_000 : UInt64.max)
            writer.string("what this is will be known later")
            message.encode(into: &writer)
        }
        let (decoded, skipped) = try MessageBatch.decode(writer.finish()[...])
        #expect(decoded == known)
        #expect(skipped == known.count)
    }

    /// Each message is an array of fewer than 15 elements here, so its first byte says how many.
    @Test func fieldsOfLaterVersionsAreIgnored() throws {
        var samples = MessageSamples(seed: 2)
        for message in try samples.oneOfEach().map(withEveryField) {
            var bytes = encoded(message)
            try #require((0x91...0x9d).contains(bytes[0]))
            bytes[0] += 2
            let longer = [0x91] + bytes + [0xa3, 0x6e, 0x65, 0x77] + [0x92, 0x01, 0x02]
            #expect(try MessageBatch.decode(longer[...]).messages == [message])
        }
    }

    /// A field that may be left out is there when others come after it.
    private func withEveryField(_ message: Message) -> Message {
        guard case .append(var append) = message else { return message }
        if append.cursors.isEmpty {
            append.cursors = [DestinationCursor(destination: "audit", position: Position(epoch: 1, seq: 2))]
        }
        if append.ages.isEmpty { append.ages = [1] }
        return .append(append)
    }

    @Test func aBatchCutAnywhereIsRefused() throws {
        var samples = MessageSamples(seed: 3)
        let bytes = encoded(try samples.oneOfEach())
        for length in 0..<bytes.count {
            #expect(throws: MessagePackError.self) { try MessageBatch.decode(bytes[..<length]) }
        }
    }

    /// A frame is sealed, so this is about faulty peers: whatever they say is read or refused.
    @Test(arguments: ReplicationFixture.seeds)
    func damagedBatchesAreReadOrRefused(seed: UInt64) throws {
        print("seed \(seed)")
        var samples = MessageSamples(seed: seed)
        var (read, refused) = (0, 0)
        for _ in 0..<40 {
            let whole = encoded(try samples.oneOfEach())
            for _ in 0..<10 {
                var bytes = whole
                for _ in 0...samples.random.below(3) {
                    bytes[samples.random.below(bytes.count)] = UInt8(samples.random.below(256))
                }
                do {
                    let messages = try MessageBatch.decode(bytes[...]).messages
                    read += 1
                    // What was read can be told on.
                    #expect(try MessageBatch.decode(encoded(messages)[...]).messages == messages)
                } catch {
                    refused += 1
                }
            }
        }
        #expect(read > 20 && refused > 20, "\(read) read, \(refused) refused: the damage must reach both")
    }

    /// Other programs speak this. A vector that has to change is a new version of the wire.
    @Test(arguments: MessageVectors.all)
    func theBytesOnTheWireStayAsTheyAre(vector: MessageVectors.Vector) throws {
        let message = try vector.message()
        #expect(hexadecimal(encoded(message)) == vector.hexadecimal, "\(vector.name)")
    }

    private func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    @Test func theDigestOfAListStaysAsItIs() throws {
        #expect(StableHash.hash("") == 1_240_548_846_944_876_420)
        #expect(StableHash.hash("rollcall") == 7_470_663_833_862_531_467)
        var table = ContactTable()
        table.put(try ReplicationFixture.contact(1, 1), deadline: 0)
        table.put(try ReplicationFixture.contact(3, 1), deadline: 0)
        #expect(table.digest == 1_612_338_119_014_425_295)
    }
}
