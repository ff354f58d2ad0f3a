import NIOCore
import PluginDestinations
import Testing

@Suite struct SPFrameReaderTests {
    private static let stream: [UInt8] =
        SPFrameReader.greeting(of: .push) + [0, 0, 0, 0, 0, 0, 0, 2, 7, 8] + [0, 0, 0, 0, 0, 0, 0, 0]
        + [0, 0, 0, 0, 0, 0, 0, 1, 9]

    private static func read(_ pieces: [ArraySlice<UInt8>]) throws(SPFrameReader.Problem) -> [[UInt8]] {
        var reader = SPFrameReader(peer: .push, maximumMessage: 4)
        var messages: [[UInt8]] = []
        for piece in pieces {
            reader.append(ByteBuffer(bytes: piece))
            while let message = try reader.next() { messages.append(Array(message.readableBytesView)) }
        }
        return messages
    }

    @Test func messagesAreTheSameHoweverTheBytesArrive() throws {
        #expect(SPFrameReader.greeting(of: .pull) == [0, 0x53, 0x50, 0, 0, 0x51, 0, 0])
        for cut in 0...Self.stream.count {
            #expect(try Self.read([Self.stream[..<cut], Self.stream[cut...]]) == [[7, 8], [], [9]])
        }
        #expect(try Self.read(Self.stream.indices.map { Self.stream[$0...$0] }) == [[7, 8], [], [9]])
    }

    @Test func anotherGreetingAndTooLongAMessageEndTheConnection() {
        #expect(throws: SPFrameReader.Problem.greeting) { try Self.read([SPFrameReader.greeting(of: .pull)[...]]) }
        #expect(throws: SPFrameReader.Problem.greeting) {
            try Self.read(["GET / HTTP/1.1"].map { Array($0.utf8)[...] })
        }
        let long = SPFrameReader.greeting(of: .push) + [0, 0, 0, 0, 0, 0, 0, 5]
        #expect(throws: SPFrameReader.Problem.oversized(5)) { try Self.read([long[...]]) }
        let huge = SPFrameReader.greeting(of: .push) + [UInt8](repeating: 255, count: 8)
        #expect(throws: SPFrameReader.Problem.oversized(.max)) { try Self.read([huge[...]]) }
    }
}
