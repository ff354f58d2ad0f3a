import NIOCore
import Testing

@testable import WebSocketFrames

@Suite struct DeflateTests {
    /// One who begins each message with an empty window of the agreed size is the weakest reader there may be.
    private func inflate(_ payload: ArraySlice<UInt8>, maximumBytes: Int = 1 << 20) -> [UInt8]? {
        guard case .message(let bytes) = Inflater().inflate(ByteBuffer(bytes: payload), maximumBytes: maximumBytes)
        else { return nil }
        return Array(bytes.readableBytesView)
    }

    private func compress(_ deflater: FrameDeflater, _ pieces: [UInt8]...) -> ArraySlice<UInt8>? {
        // The pieces live until the end of the call.
        let buffers = pieces.map { piece in
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: piece.count, alignment: 1)
            buffer.copyBytes(from: piece)
            return buffer
        }
        defer { for buffer in buffers { buffer.deallocate() } }
        return deflater.compress(buffers.map { UnsafeRawBufferPointer($0) })
    }

    @Test(arguments: [9, 10, 12, 15])
    func whatIsCompressedComesBack(_ windowBits: Int) throws {
        var random = Random(state: UInt64(windowBits))
        let deflater = FrameDeflater(windowBits: windowBits)
        for _ in 0..<300 {
            let alphabet = UInt8.random(in: 1...40, using: &random)
            let count = Int.random(in: 1...6_000, using: &random)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...alphabet, using: &random) }
            let cut = Int.random(in: 0...count, using: &random)
            guard let payload = compress(deflater, Array(bytes[..<cut]), Array(bytes[cut...])) else { continue }
            #expect(payload.count < count)
            #expect(inflate(payload) == bytes)
        }
    }

    @Test func equalMessagesHaveEqualFormsWhateverCameBefore() {
        let deflater = FrameDeflater(windowBits: 12)
        let message = Array(repeating: Array("registrarevents ".utf8), count: 20).flatMap(\.self)
        let first = compress(deflater, message)
        _ = compress(deflater, Array("something else that is long enough to be found again, and again".utf8))
        #expect(first != nil && compress(deflater, message) == first)
    }

    @Test func whatWouldGrowIsLeftAsItIs() {
        var random = Random(state: 5)
        let noise = (0..<500).map { _ in UInt8.random(in: 0...255, using: &random) }
        #expect(compress(FrameDeflater(windowBits: 12), noise) == nil)
    }

    @Test func nothingIsInflatedBeyondItsLimit() {
        let inflater = Inflater()
        let deflater = FrameDeflater(windowBits: 15)
        guard let bomb = compress(deflater, Array(repeating: 0, count: 4 << 20)) else {
            Issue.record("zeros were not compressed")
            return
        }
        for (limit, fits) in [(0, false), (1_000, false), ((4 << 20) - 1, false), (4 << 20, true)] {
            switch inflater.inflate(ByteBuffer(bytes: bomb), maximumBytes: limit) {
            case .message(let bytes): #expect(fits && bytes.readableBytes == 4 << 20)
            case .tooBig: #expect(!fits)
            case .broken: Issue.record("broken at \(limit)")
            }
        }
        // And the next message is none the worse.
        #expect(compress(deflater, Array(repeating: 65, count: 300)).flatMap { inflate($0) }?.count == 300)
    }

    @Test func everyCutAndEveryFlippedBitEndsWell() {
        let inflater = Inflater()
        let message = Array(#"["event",{"id":"all","domain":"demo.example","epoch":1,"seq":1}]"#.utf8)
        guard let payload = compress(FrameDeflater(windowBits: 12), message) else {
            Issue.record("the message was not compressed")
            return
        }
        let whole = Array(payload)
        for cut in 0..<whole.count {
            if case .message = inflater.inflate(ByteBuffer(bytes: whole[..<cut]), maximumBytes: 1_000) {
                Issue.record("a message cut at \(cut) of \(whole.count) passed for whole")
            }
        }
        for bit in 0..<(whole.count * 8) {
            var spoilt = whole
            spoilt[bit / 8] ^= 1 << (bit % 8)
            if case .message(let bytes) = inflater.inflate(ByteBuffer(bytes: spoilt), maximumBytes: 1_000) {
                #expect(bytes.readableBytes <= 1_000)
            }
        }
    }

    @Test(
        arguments: [
            (["permessage-deflate"], 12), (["permessage-deflate; client_max_window_bits"], 12),
            (["permessage-deflate; server_max_window_bits=9"], 9),
            (["permessage-deflate; server_max_window_bits=15"], 12),
            (["permessage-deflate;server_max_window_bits=\"1\\0\" ; client_max_window_bits=8"], 10),
            (["x; y=z", "permessage-deflate"], 12),
            (["permessage-deflate; server_max_window_bits=8 , permessage-deflate; server_no_context_takeover"], 12),
            ([], nil), (["x-other"], nil), (["permessage-deflate; server_max_window_bits=8"], nil),
            (["permessage-deflate; server_max_window_bits=+9"], nil), (["permessage-deflate; other"], nil),
            (["permessage-deflate; client_no_context_takeover=1"], nil),
            (["permessage-deflate; client_max_window_bits=9; client_max_window_bits=9"], nil),
            (["Permessage-Deflate"], nil),
        ] as [([String], Int?)])
    func offersAreChosenFrom(_ headers: [String], _ windowBits: Int?) throws {
        #expect(try DeflateTerms.choose(from: headers)?.windowBits == windowBits)
    }

    @Test(arguments: [
        "", ",", "permessage-deflate;", "permessage-deflate,", "permessage-deflate; =1", "permessage-deflate; a=",
        "permessage-deflate; a=\"", "permessage-deflate; a=\"b", "permessage-deflate; a=\"\"", "permessage-deflate x",
        "permessage-deflate; a=\"b\\", "permessage(deflate)", "permessage-deflate; a=b c",
    ])
    func malformedOffersAreRefused(_ header: String) {
        #expect(throws: HandshakeRefusal.self) { try DeflateTerms.choose(from: [header]) }
    }
}
