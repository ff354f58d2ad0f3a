import ArgumentParser
import ClusterRuntime
import Glibc
import MessagePack
import RegistrarEvents

struct CodecCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "codec", abstract: "Encoding and decoding of messages, beside a copy of the same bytes.")

    @Option(help: "Rounds, of which the median is shown.")
    var rounds = 9
    @OptionGroup var output: OutputOptions

    func run() throws { output.show(try Self.tables(rounds: rounds)) }

    static func tables(rounds: Int) throws -> [Table] {
        var table = Table(
            "Nanoseconds of CPU time per item", columns: ["bytes", "encode", "decode", "memcpy"])
        for item in items() {
            let result = try measure(item, rounds: rounds)
            table.add(
                item.name,
                [
                    Format.whole(result.bytes), result.encode.text(Format.tenths), result.decode.text(Format.tenths),
                    result.copy.text(Format.tenths),
                ])
        }
        table.notes.append("Encoding ends in the sender's buffer; decoding goes from a frame's bytes to messages.")
        return [table]
    }

    private struct Item {
        let name: String
        let messages: [Message]
        /// How many items the messages hold.
        let count: Int
    }

    private static func items() -> [Item] {
        let population = Population(count: 1_024)
        let domain = Population.domain
        let contacts = (0..<448).map { population.contact($0) }
        let entries = (1...256).map { seq in
            LogEntry(
                seq: UInt64(seq), timestamp: 1_700_000_000_000,
                change: .registered(contacts[seq], ttl: 3_600_000, replay: false))
        }
        let append = Append(domain: domain, epoch: 3, base: 0, entries: entries, committed: 0, replayEnd: 1)
        let chunk = SnapshotChunk(
            domain: domain, epoch: 3, snapshot: 1, index: 0, after: 0,
            contacts: contacts.map { LiveContact(contact: $0, ttl: 3_600_000) }, seal: nil)
        let requests = (0..<64).map { index in
            Message.request(
                Request(
                    id: UInt64(index + 70_000), domain: domain, epoch: 3,
                    operation: .register(contacts[index], ttl: 3_600_000)))
        }
        let replies = (0..<64).map { index in
            Message.reply(
                Reply(
                    id: UInt64(index + 70_000),
                    result: .registered(Position(epoch: 3, seq: UInt64(index + 90_000)), ttl: 3_600_000)))
        }
        return [
            Item(name: "entry of an append of 256", messages: [.append(append)], count: 256),
            Item(name: "contact of a chunk of 448", messages: [.chunk(chunk)], count: 448),
            Item(name: "request to register", messages: requests, count: 64),
            Item(name: "reply", messages: replies, count: 64),
        ]
    }

    private struct Result {
        var bytes = 0.0
        var encode = Samples()
        var decode = Samples()
        var copy = Samples()
    }

    private static func measure(_ item: Item, rounds: Int) throws -> Result {
        let body = encodedBody(item.messages)
        let repeats = max(1, 400_000 / item.count)
        let items = Double(repeats * item.count)
        var result = Result(bytes: Double(body.count) / Double(item.count))
        var writer = MessagePackWriter(reserving: body.count + 16)
        let target = UnsafeMutableRawPointer.allocate(byteCount: body.count, alignment: 16)
        defer { target.deallocate() }
        for _ in 0..<rounds {
            var start = Measuring.threadCPU()
            for _ in 0..<repeats {
                writer.removeAll()
                writer.array(item.messages.count)
                for message in item.messages { message.encode(into: &writer) }
            }
            result.encode.add(Double(Measuring.threadCPU() - start) / items)
            start = Measuring.threadCPU()
            for _ in 0..<repeats { Measuring.keep(try MessageBatch.decode(body[...]).messages) }
            result.decode.add(Double(Measuring.threadCPU() - start) / items)
            start = Measuring.threadCPU()
            for _ in 0..<repeats { copy(body, to: target) }
            result.copy.add(Double(Measuring.threadCPU() - start) / items)
        }
        return result
    }

    @inline(never)
    private static func copy(_ bytes: [UInt8], to target: UnsafeMutableRawPointer) {
        bytes.withUnsafeBytes { if let start = $0.baseAddress { memcpy(target, start, $0.count) } }
    }

    /// A frame's body.
    static func encodedBody(_ messages: [Message]) -> [UInt8] {
        var writer = MessagePackWriter()
        writer.array(messages.count)
        for message in messages { message.encode(into: &writer) }
        return writer.finish()
    }
}
