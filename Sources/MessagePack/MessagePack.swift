private import CMsgpack

/// Reads MessagePack. Parsing is msgpack-c's, with bounds: nesting is limited, and the memory for the parsed tree is at
/// most 48 bytes for each byte given, whatever the lengths in it claim.
public enum MessagePack {
    /// The deepest nesting a caller may allow.
    public static let deepest = ROLLCALL_UNPACK_DEEPEST

    /// Parses exactly one value and hands it to `body`.
    ///
    /// The value, and every array and map taken from it, points into memory that lives only until `body` returns:
    /// take out strings, numbers and byte arrays, never the value itself.
    /// - Parameter maximumDepth: nested arrays and maps allowed, 1 to `deepest`.
    /// - Throws: `MessagePackError` when the bytes are not one whole value, or what `body` throws.
    public static func decode<R>(
        _ bytes: [UInt8], maximumDepth: Int = 8, _ body: (MessagePackValue) throws(MessagePackError) -> R
    ) throws(MessagePackError) -> R {
        try bytes.withUnsafeBufferPointer { (buffer) throws(MessagePackError) -> R in
            try decode(UnsafeRawBufferPointer(buffer), maximumDepth: maximumDepth, body)
        }
    }

    /// The same for a part of an array.
    public static func decode<R>(
        _ bytes: ArraySlice<UInt8>, maximumDepth: Int = 8, _ body: (MessagePackValue) throws(MessagePackError) -> R
    ) throws(MessagePackError) -> R {
        try bytes.withUnsafeBufferPointer { (buffer) throws(MessagePackError) -> R in
            try decode(UnsafeRawBufferPointer(buffer), maximumDepth: maximumDepth, body)
        }
    }

    /// The same for memory that somebody else keeps alive for the length of the call.
    public static func decode<R>(
        _ bytes: UnsafeRawBufferPointer, maximumDepth: Int = 8,
        _ body: (MessagePackValue) throws(MessagePackError) -> R
    ) throws(MessagePackError) -> R {
        precondition((1...deepest).contains(maximumDepth), "maximumDepth \(maximumDepth) is not in 1...\(deepest)")
        guard let start = bytes.baseAddress else { throw .truncated }
        var zone = msgpack_zone()
        // Small values fit one small chunk, a full frame a few large ones.
        guard msgpack_zone_init(&zone, min(max(bytes.count * 2, 512), 32768)) else { throw .outOfMemory }
        defer { msgpack_zone_destroy(&zone) }
        var object = msgpack_object()
        var consumed = 0
        let status = rollcall_unpack(start, bytes.count, UInt32(maximumDepth), &zone, &object, &consumed)
        switch Int(status) {
        case ROLLCALL_UNPACK_DONE: break
        case ROLLCALL_UNPACK_TRUNCATED, ROLLCALL_UNPACK_OVERLONG: throw .truncated
        case ROLLCALL_UNPACK_TOO_DEEP: throw .tooDeep(maximumDepth)
        case ROLLCALL_UNPACK_NO_MEMORY: throw .outOfMemory
        default: throw .malformed
        }
        guard consumed == bytes.count else { throw .trailingBytes(bytes.count - consumed) }
        return try body(MessagePackValue(object))
    }
}
