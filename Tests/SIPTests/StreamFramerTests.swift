import SIP
import Testing

@Suite struct StreamFramerTests {
    private let message = [UInt8]("MESSAGE sip:h SIP/2.0\r\nContent-Length :\r\n 4\r\n\r\nab\r\n".utf8)

    private func frames(_ pieces: [[UInt8]], limits: SIPLimits = SIPLimits()) throws -> [StreamFramer.Frame] {
        var framer = StreamFramer(limits: limits)
        var frames: [StreamFramer.Frame] = []
        for piece in pieces {
            framer.append(piece)
            while let frame = try framer.next() { frames.append(frame) }
        }
        return frames
    }

    @Test(arguments: [1, 2, 3, 7, 1_000])
    func framesAreTheSameHoweverTheBytesCome(_ size: Int) throws {
        let bytes = message + message + [UInt8]("\r\n\r\n".utf8) + message + [UInt8]("\r\n".utf8) + message
        let pieces = stride(from: 0, to: bytes.count, by: size).map { Array(bytes[$0..<min(bytes.count, $0 + size)]) }
        #expect(
            try frames(pieces)
                == [.message(message), .message(message), .keepAlivePing, .message(message), .crlf, .message(message)])
    }

    /// Found by the fuzzer: a backslash that ends a body escaped the first byte of what followed.
    @Test func aMessageDoesNotReachIntoTheNext() throws {
        var framer = StreamFramer()
        framer.append([UInt8]("A b SIP/2.0\r\nl: 1\r\n\r\n\\\u{1}B c SIP/2.0\r\nl: 0\r\n\r\n".utf8))
        #expect(try framer.next() == .message([UInt8]("A b SIP/2.0\r\nl: 1\r\n\r\n\\".utf8)))
        #expect(throws: SIPParseError.self) { try framer.next() }
    }

    @Test func vectorsWithALengthComeThroughAsTheyAre() throws {
        for name in ["longreq", "ipv6-good", "3261-24.1-f1", "zeromf"] {
            let bytes = try Vectors.bytes(name)
            #expect(try frames(bytes.map { [$0] }) == [.message(bytes)])
        }
    }

    @Test func aLoneLineEndWaitsForWhatFollows() throws {
        var framer = StreamFramer()
        framer.append([UInt8]("\r\n".utf8))
        #expect(try framer.next() == nil)
        framer.append([UInt8]("\r\n".utf8))
        #expect(try framer.next() == .keepAlivePing)
        #expect(framer.bufferedBytes == 0)
    }

    @Test(arguments: [
        "MESSAGE sip:h SIP/2.0\r\n\r\n", "MESSAGE sip:h SIP/2.0\r\nl: -1\r\n\r\n", "\rx", "\r\n\rx",
        "MESSAGE sip:h SIP/2.0\r\nl: 1\r\nl: 1\r\n\r\n", "MESSAGE sip:h SIP/2.0\r\nl: 65535\r\n\r\n",
        "GET\r\nx\r\n\r\n",
    ])
    func aStreamThatCannotBeCutEnds(_ text: String) {
        var framer = StreamFramer()
        framer.append([UInt8](text.utf8))
        #expect(throws: SIPParseError.self) { try framer.next() }
        framer.append(message)
        #expect(throws: SIPParseError.self) { try framer.next() }
        #expect(framer.bufferedBytes == 0)
    }

    @Test func aHeadWithoutEndIsRefusedAtTheLimit() throws {
        var framer = StreamFramer(limits: SIPLimits(messageBytes: 1_000))
        framer.append([UInt8](repeating: UInt8(ascii: "a"), count: 1_000))
        #expect(try framer.next() == nil)
        framer.append([UInt8(ascii: "a")])
        #expect {
            try framer.next()
        } throws: { ($0 as? SIPParseError)?.status == 513 }
    }

    /// A byte at a time, a head of 60 kB would take minutes if each search began anew.
    @Test func timeIsLinearInTheBytes() throws {
        let value = String(repeating: "\r\nx: " + String(repeating: "a", count: 300), count: 195)
        let bytes = [UInt8]("MESSAGE sip:h SIP/2.0\(value)\r\nl: 0\r\n\r\n".utf8)
        let start = ContinuousClock.now
        #expect(try frames(bytes.map { [$0] }) == [.message(bytes)])
        #expect(ContinuousClock.now - start < .seconds(5))
    }
}
