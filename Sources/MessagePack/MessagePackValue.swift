public import CMsgpack

/// One value of a parsed tree. Valid only inside the closure given to `MessagePack.decode`.
@frozen
public struct MessagePackValue {
    @usableFromInline let object: msgpack_object

    @inlinable @inline(__always)
    init(_ object: msgpack_object) { self.object = object }

    @inlinable
    public var isNull: Bool { object.type == MSGPACK_OBJECT_NIL }

    @inlinable
    public func array() throws(MessagePackError) -> MessagePackArray {
        guard object.type == MSGPACK_OBJECT_ARRAY else { throw .unexpected("an array") }
        return MessagePackArray(object.via.array)
    }

    @inlinable
    public func map() throws(MessagePackError) -> MessagePackMap {
        guard object.type == MSGPACK_OBJECT_MAP else { throw .unexpected("a map") }
        return MessagePackMap(object.via.map)
    }

    @inlinable
    public func integer() throws(MessagePackError) -> Int64 {
        let fits = object.type == MSGPACK_OBJECT_POSITIVE_INTEGER && object.via.i64 >= 0
        guard fits || object.type == MSGPACK_OBJECT_NEGATIVE_INTEGER else { throw .unexpected("a signed integer") }
        return object.via.i64
    }

    @inlinable
    public func unsigned() throws(MessagePackError) -> UInt64 {
        guard object.type == MSGPACK_OBJECT_POSITIVE_INTEGER else { throw .unexpected("an unsigned integer") }
        return object.via.u64
    }

    /// A number in floating point; integers are not converted.
    @inlinable
    public func double() throws(MessagePackError) -> Double {
        guard object.type == MSGPACK_OBJECT_FLOAT64 || object.type == MSGPACK_OBJECT_FLOAT32 else {
            throw .unexpected("a floating point number")
        }
        return object.via.f64
    }

    @inlinable
    public func boolean() throws(MessagePackError) -> Bool {
        guard object.type == MSGPACK_OBJECT_BOOLEAN else { throw .unexpected("a boolean") }
        return object.via.boolean
    }

    /// A string's bytes, not checked to be UTF-8 and not copied.
    @inlinable
    public func text() throws(MessagePackError) -> UnsafeRawBufferPointer {
        guard object.type == MSGPACK_OBJECT_STR else { throw .unexpected("a string") }
        return UnsafeRawBufferPointer(start: object.via.str.ptr, count: Int(object.via.str.size))
    }

    /// - Throws: also when the bytes are not UTF-8.
    @inlinable
    public func string() throws(MessagePackError) -> String {
        guard object.type == MSGPACK_OBJECT_STR else { throw .unexpected("a string") }
        let bytes = UnsafeRawBufferPointer(start: object.via.str.ptr, count: Int(object.via.str.size))
        guard let text = String(validating: bytes.bindMemory(to: UInt8.self), as: UTF8.self) else { throw .invalidText }
        return text
    }

    @inlinable
    public func binary() throws(MessagePackError) -> [UInt8] {
        guard object.type == MSGPACK_OBJECT_BIN else { throw .unexpected("binary") }
        return [UInt8](UnsafeRawBufferPointer(start: object.via.bin.ptr, count: Int(object.via.bin.size)))
    }
}
