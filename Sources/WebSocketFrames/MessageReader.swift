package import NIOCore

/// Puts a client's bytes together to messages, and finds what RFC 6455 and RFC 7692 forbid.
///
/// Bytes are fed, then actions are asked for until there is none. Once it has answered `.fail` or `.close` it takes in
/// nothing more.
package struct MessageReader {
    package enum Action {
        case text(ByteBuffer)
        case binary(ByteBuffer)
        case ping(ByteBuffer)
        case pong
        /// The client closes, with this code (nil: it gave none).
        case close(UInt16?)
        /// The client broke the protocol.
        case fail(CloseCode, String)
    }

    private let maximumBytes: Int
    private let takesBinary: Bool
    private let inflater: Inflater?
    /// Fragments can be empty, so their number has a limit of its own.
    private static let maximumFragments = 1_024
    private var frames: FrameReader
    private var message: Message?
    private var isOver = false

    /// A message of which the last fragment has not come.
    private struct Message {
        let isBinary: Bool
        let isCompressed: Bool
        var payload = ByteBuffer()
        var fragments = 0
        var text = UTF8Check()
    }

    /// - Parameters:
    ///   - maximumBytes: of a message, also of one that was compressed.
    ///   - takesBinary: whether messages may be binary.
    ///   - inflater: the event loop's, when messages may be compressed.
    package init(maximumBytes: Int, takesBinary: Bool = false, inflater: Inflater? = nil) {
        self.maximumBytes = maximumBytes
        self.takesBinary = takesBinary
        self.inflater = inflater
        frames = FrameReader(maximumBytes: maximumBytes, allowsCompression: inflater != nil)
    }

    package mutating func feed(_ bytes: ByteBuffer) {
        if !isOver { frames.feed(bytes) }
    }

    /// - Returns: nil when more bytes are needed.
    package mutating func next() -> Action? {
        while !isOver {
            switch frames.next() {
            case .incomplete: return nil
            case .broken(let code, let reason): return end(.fail(code, reason))
            case .frame(let frame):
                guard let action = received(frame) else { continue }
                switch action {
                case .close, .fail: return end(action)
                case .text, .binary, .ping, .pong: return action
                }
            }
        }
        return nil
    }

    private mutating func end(_ action: Action) -> Action {
        isOver = true
        frames = FrameReader(maximumBytes: 0, allowsCompression: false)
        message = nil
        return action
    }

    private mutating func received(_ frame: Frame) -> Action? {
        switch frame.opcode {
        case .text, .binary:
            guard frame.opcode == .text || takesBinary else { return .fail(.unsupportedData, "messages must be text") }
            guard message == nil else { return .fail(.protocolError, "a message began inside another") }
            return append(
                frame, to: Message(isBinary: frame.opcode == .binary, isCompressed: frame.isCompressed))
        case .continuation:
            // Taken out, so that its bytes are not copied when more are added.
            guard let message = message.take() else { return .fail(.protocolError, "a continuation of nothing") }
            return append(frame, to: message)
        case .ping: return .ping(frame.payload)
        case .pong: return .pong
        case .close: return close(frame.payload)
        }
    }

    private mutating func append(_ frame: Frame, to message: consuming Message) -> Action? {
        message.fragments += 1
        guard message.payload.readableBytes + frame.payload.readableBytes <= maximumBytes,
            message.fragments <= Self.maximumFragments
        else { return .fail(.tooBig, "a message may have \(maximumBytes) bytes in \(Self.maximumFragments) fragments") }
        if message.fragments == 1 {
            message.payload = frame.isFinal ? frame.payload : frame.payload.compacted
        } else {
            message.payload.writeImmutableBuffer(frame.payload)
        }
        if !message.isBinary, !message.isCompressed {
            let isText = frame.payload.withUnsafeReadableBytes { message.text.accepts($0) }
            guard isText, message.text.isComplete || !frame.isFinal else { return Self.notText }
        }
        guard !frame.isFinal else { return complete(message) }
        self.message = message
        return nil
    }

    private func complete(_ message: consuming Message) -> Action {
        guard message.isCompressed, let inflater else {
            return message.isBinary ? .binary(message.payload) : .text(message.payload)
        }
        switch inflater.inflate(message.payload, maximumBytes: maximumBytes) {
        case .message(let bytes):
            guard !message.isBinary else { return .binary(bytes) }
            return Self.isText(bytes) ? .text(bytes) : Self.notText
        case .tooBig: return .fail(.tooBig, "a message may have \(maximumBytes) bytes, also when it was compressed")
        case .broken: return .fail(.invalidPayload, "the message cannot be decompressed")
        }
    }

    private func close(_ payload: ByteBuffer) -> Action {
        var payload = payload
        guard payload.readableBytes > 0 else { return .close(nil) }
        guard let code = payload.readInteger(as: UInt16.self), CloseCode.isAllowed(code) else {
            return .fail(.protocolError, "a close frame without a valid code")
        }
        return Self.isText(payload) ? .close(code) : .fail(.invalidPayload, "the reason to close is not UTF-8")
    }

    private static let notText = Action.fail(.invalidPayload, "the message is not UTF-8")

    private static func isText(_ bytes: ByteBuffer) -> Bool {
        var check = UTF8Check()
        return bytes.withUnsafeReadableBytes { check.accepts($0) } && check.isComplete
    }
}
