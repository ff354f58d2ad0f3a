import Foundation
import NIOCore

@testable import WebSocketFrames

extension FuzzTarget {
    /// A client's frames: the first byte says whether messages may be compressed and binary. They are the same however
    /// the bytes came, no message is over the limit, and a text is UTF-8 for another reader as well.
    static let websocket = FuzzTarget(
        "websocket", words: ["\u{1}\u{0}", "Hello"], seeds: FramePromises.seeds,
        run: { input in
            guard let mode = input.first else { return }
            let bytes = Array(input.dropFirst())
            let whole = try FramePromises.actions(bytes, mode, piece: max(1, bytes.count))
            for piece in [1, 7] {
                try promise(
                    whole == (try FramePromises.actions(bytes, mode, piece: piece)), "messages depend on how bytes came"
                )
            }
            try FramePromises.utf8(bytes)
        })

    /// Compressed payloads and handshakes of permessage-deflate: what is taken is bounded, and comes out again after it
    /// was compressed.
    static let deflate = FuzzTarget(
        "deflate", words: ["permessage-deflate", "; client_max_window_bits=15", "server_max_window_bits=\"9\""],
        seeds: {
            let text = Array(String(repeating: "registered ", count: 60).utf8)
            let deflater = FrameDeflater(windowBits: 12)
            let compressed = text.withUnsafeBytes { deflater.compress([$0]) }.map(Array.init) ?? []
            return [
                compressed, text, [0], [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
                Array("permessage-deflate; client_max_window_bits; server_max_window_bits=10, x; y=\"z\"".utf8),
            ]
        },
        run: { input in
            let limit = 20_000
            if case .message(let message) = Inflater().inflate(ByteBuffer(bytes: input), maximumBytes: limit) {
                try promise(message.readableBytes <= limit, "\(message.readableBytes) bytes of at most \(limit)")
            }
            let deflater = FrameDeflater(windowBits: 9 + input.count % 7)
            if let compressed = input.withUnsafeBytes({ deflater.compress([$0]) }).map(Array.init) {
                try promise(compressed.count < input.count, "compressed to more")
                guard
                    case .message(let message) = Inflater().inflate(
                        ByteBuffer(bytes: compressed), maximumBytes: input.count),
                    message.readableBytesView.elementsEqual(input)
                else { throw Broken("what was compressed does not come out again") }
            }
            // A header that follows no grammar is refused.
            if let text = String(validating: input, as: UTF8.self), let terms = try? DeflateTerms.choose(from: [text]) {
                try promise((9...12).contains(terms.windowBits), "a window of \(terms.windowBits) bits")
            }
        })
}

private enum FramePromises {
    static let limit = 3_000

    static func actions(_ bytes: [UInt8], _ mode: UInt8, piece: Int) throws -> [String] {
        var reader = MessageReader(
            maximumBytes: limit, takesBinary: mode & 2 != 0, inflater: mode & 1 != 0 ? Inflater() : nil)
        var found: [String] = []
        var position = 0
        while position < bytes.count {
            reader.feed(ByteBuffer(bytes: bytes[position..<min(bytes.count, position + piece)]))
            position += piece
            while let action = reader.next() { found.append(try describe(action)) }
        }
        return found
    }

    private static func describe(_ action: MessageReader.Action) throws -> String {
        switch action {
        case .text(let buffer):
            let bytes = Array(buffer.readableBytesView)
            try promise(bytes.count <= limit, "a message of \(bytes.count) bytes")
            guard let text = String(validating: bytes, as: UTF8.self) else { throw Broken("a text that is not UTF-8") }
            return "text \(text)"
        case .binary(let buffer):
            try promise(buffer.readableBytes <= limit, "a message of \(buffer.readableBytes) bytes")
            return "binary \(Array(buffer.readableBytesView))"
        case .ping(let buffer):
            try promise(buffer.readableBytes <= 125, "a ping of \(buffer.readableBytes) bytes")
            _ = Frames.pong(buffer)
            return "ping \(Array(buffer.readableBytesView))"
        case .pong: return "pong"
        case .close(let code): return "close \(code.map(String.init) ?? "")"
        case .fail(let code, let reason): return "fail \(code.rawValue) \(reason)"
        }
    }

    /// Two readers of UTF-8.
    static func utf8(_ bytes: [UInt8]) throws {
        var (whole, pieces) = (UTF8Check(), UTF8Check())
        let isText = bytes.withUnsafeBytes { whole.accepts($0) } && whole.isComplete
        try promise(isText == (String(validating: bytes, as: UTF8.self) != nil), "UTF-8 to one reader alone")
        let isTextInPieces = bytes.allSatisfy { byte in [byte].withUnsafeBytes { pieces.accepts($0) } }
        try promise(isText == (isTextInPieces && pieces.isComplete), "UTF-8 depends on how the bytes came")
    }

    static let seeds: @Sendable () throws -> [[UInt8]] = {
        func frame(_ first: UInt8, _ payload: [UInt8]) -> [UInt8] {
            var frame = [first]
            if payload.count < 126 {
                frame.append(0x80 | UInt8(payload.count))
            } else {
                frame += [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
            }
            let key: [UInt8] = [1, 2, 3, 4]
            frame += key
            for (index, byte) in payload.enumerated() { frame.append(byte ^ key[index % 4]) }
            return frame
        }
        let text: [UInt8] = Array("Hé😀".utf8)
        let hello: [UInt8] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]
        let goodbye: [UInt8] = [3, 232] + Array("bye".utf8)
        let fragments: [[UInt8]] = [
            frame(0x01, Array(text.prefix(2))), frame(0x89, [1, 2]), frame(0x80, Array(text.dropFirst(2))),
            frame(0x88, goodbye),
        ]
        let binaries: [[UInt8]] = [frame(0x82, Array(repeating: 7, count: 300)), frame(0x8a, [])]
        let inputs: [(mode: UInt8, frames: [[UInt8]])] = [
            (0, [frame(0x81, text)]), (0, fragments), (2, binaries), (1, [frame(0xc1, hello)]),
            (3, [frame(0x41, Array(hello.prefix(3)))]),
        ]
        return inputs.map { input in [input.mode] + input.frames.flatMap(\.self) }
    }
}
