public import CMsgpack

/// A map of a parsed tree, in the order sent. Valid only inside the closure given to `MessagePack.decode`.
@frozen
public struct MessagePackMap {
    @usableFromInline let entries: UnsafeBufferPointer<msgpack_object_kv>

    @inlinable @inline(__always)
    init(_ map: msgpack_object_map) {
        entries = UnsafeBufferPointer(start: map.ptr, count: Int(map.size))
    }

    @inlinable
    public var count: Int { entries.count }

    /// The key and value at a place from 0 to `count`.
    @inlinable
    public func entry(_ index: Int) throws(MessagePackError) -> (key: MessagePackValue, value: MessagePackValue) {
        guard index < entries.count else { throw .missing(index) }
        return (MessagePackValue(entries[index].key), MessagePackValue(entries[index].val))
    }
}
