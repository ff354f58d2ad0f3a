import ArgumentParser
import ClusterRuntime
import Foundation
import NanomsgTransport
import RegistrarEvents

struct TransportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "transport",
        abstract: "Messages between two processes, beside bare nanomsg with the same bytes in frames of the same size.")

    @Option(help: "Messages a round.")
    var messages = 400_000
    @Option(help: "Rounds, of which the median is shown.")
    var rounds = 5
    @OptionGroup var output: OutputOptions

    func run() throws { output.show(try Self.tables(messages: messages, rounds: rounds)) }

    static func tables(messages: Int, rounds: Int) throws -> [Table] {
        var table = Table(
            "Requests to register between two processes, on loopback",
            columns: ["messages/s (k)", "MB/s", "CPU ns/message", "round trip p50 us", "p99 us"])
        let batch = Self.batch
        let body = CodecCommand.encodedBody(batch)
        for (name, isSealed) in [("sealed", true), ("unsealed", false)] {
            let result = try TransportMeasurement(TransportPair(isSealed: isSealed)).run(
                batch, messages: messages, rounds: rounds)
            add(name, result, bytes: body.count / batch.count, to: &table)
        }
        let bare = try BareNanomsg.measure(
            frame: body, frames: messages / batch.count, small: CodecCommand.encodedBody([batch[0]]), rounds: rounds)
        add("bare nanomsg", bare.scaled(by: batch.count), bytes: body.count / batch.count, to: &table)
        table.notes.append(
            "Messages of \(body.count / batch.count) B; frames of \(batch.count). CPU is that of both processes.")
        return [table]
    }

    /// As many requests as fill a frame.
    static var batch: [Message] {
        let population = Population(count: 1_024)
        return (0..<192).map { index in
            .request(
                Request(
                    id: UInt64(index + 70_000), domain: Population.domain, epoch: 3,
                    operation: .register(population.contact(index), ttl: 3_600_000)))
        }
    }

    private static func add(_ name: String, _ result: TransportResult, bytes: Int, to table: inout Table) {
        let megabytes = Samples(result.perSecond.values.map { $0 * Double(bytes) / 1e6 })
        table.add(
            name,
            [
                result.perSecond.text { Format.whole($0 / 1_000) }, megabytes.text(), result.cpu.text(),
                Format.whole(result.roundTrips.median / 1_000), Format.whole(result.roundTrips.percentile(99) / 1_000),
            ])
    }
}

struct TransportResult {
    var perSecond = Samples()
    /// Nanoseconds of both processes.
    var cpu = Samples()
    /// Nanoseconds.
    var roundTrips = Samples()

    /// What was measured by frames, by messages.
    func scaled(by messagesPerFrame: Int) -> TransportResult {
        var result = self
        result.perSecond = Samples(perSecond.values.map { $0 * Double(messagesPerFrame) })
        result.cpu = Samples(cpu.values.map { $0 / Double(messagesPerFrame) })
        return result
    }
}

/// Sends from here to a child that says how many messages it has got.
struct TransportMeasurement {
    private let pair: TransportPair
    private let transport: NanomsgTransport
    private let received = Progress()

    /// Messages on their way at once: well under what the outbox holds.
    private static let window = 16_384

    init(_ pair: TransportPair) {
        self.pair = pair
        transport = pair.transport(TransportPair.a)
    }

    func run(_ batch: [Message], messages: Int, rounds: Int) throws -> TransportResult {
        let child = try ChildProcess(["transport-peer"] + pair.arguments)
        defer { child.stop() }
        let running = TransportPair.start(transport) { [received] event in
            guard case .received(let messages, _) = event else { return }
            for case .reply(let reply) in messages { received.reach(reply.id) }
        }
        defer { running.cancel() }
        var sent: UInt64 = 0
        while received.reached == 0 {
            transport.send(batch[0], to: TransportPair.b)
            sent += 1
            _ = received.wait(for: sent, seconds: 1)
        }
        // What was said before anybody listened never arrives.
        sent = received.reached
        var result = TransportResult()
        for _ in 0..<rounds {
            let first = sent
            let start = (Measuring.wall(), Measuring.processCPU() + child.cpuTime)
            while sent - first < messages {
                transport.send(batch, to: TransportPair.b)
                sent += UInt64(batch.count)
                if sent > Self.window { received.expect(sent - UInt64(Self.window), "the transport") }
            }
            received.expect(sent, "the transport")
            let count = Double(sent - first)
            result.perSecond.add(count / Double(Measuring.wall() - start.0) * 1e9)
            result.cpu.add(Double(Measuring.processCPU() + child.cpuTime - start.1) / count)
        }
        for _ in 0..<5_000 {
            let start = Measuring.wall()
            transport.send(batch[0], to: TransportPair.b)
            sent += 1
            received.expect(sent, "a round trip")
            result.roundTrips.add(Double(Measuring.wall() - start))
        }
        return result
    }
}

/// The child: answers each delivery with how many messages have come.
struct TransportPeer: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "transport-peer", shouldDisplay: false)

    @Argument var kind: String
    @Argument var portA: UInt16
    @Argument var portB: UInt16

    func run() throws {
        endWithParent()
        guard kind != "bare" else { return try BareNanomsg.answer(at: portB, to: portA) }
        let transport = TransportPair(isSealed: kind == "sealed", portA: portA, portB: portB).transport(TransportPair.b)
        let count = Counter()
        let running = TransportPair.start(transport) { event in
            guard case .received(let messages, let sender) = event else { return }
            let reached = count.add(messages.count)
            transport.send(.reply(Reply(id: reached, result: .refused(.overloaded))), to: sender.name)
        }
        while !running.isCancelled { sleep(1) }
    }
}
