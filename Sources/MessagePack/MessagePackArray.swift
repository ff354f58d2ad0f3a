public import CMsgpack

/// An array of a parsed tree, read by index. Valid only inside the closure given to `MessagePack.decode`.
///
/// Readers of a message ignore elements after those they know. The forms with `default` serve fields added later: they
/// answer the default when an older sender left the field out, or when it is null.
@frozen
public struct MessagePackArray {
    @usableFromInline let elements: UnsafeBufferPointer<msgpack_object>

    @inlinable @inline(__always)
    init(_ array: msgpack_object_array) {
        elements = UnsafeBufferPointer(start: array.ptr, count: Int(array.size))
    }

    @inlinable
    public var count: Int { elements.count }

    @inlinable
    public subscript(index: Int) -> MessagePackValue {
        get throws(MessagePackError) {
            guard index < elements.count else { throw .missing(index) }
            return MessagePackValue(elements[index])
        }
    }

    @inlinable
    public func value(_ index: Int) throws(MessagePackError) -> MessagePackValue { try self[index] }

    @inlinable
    public func unsigned(_ index: Int) throws(MessagePackError) -> UInt64 { try self[index].unsigned() }

    @inlinable
    public func integer(_ index: Int) throws(MessagePackError) -> Int64 { try self[index].integer() }

    @inlinable
    public func double(_ index: Int) throws(MessagePackError) -> Double { try self[index].double() }

    @inlinable
    public func boolean(_ index: Int) throws(MessagePackError) -> Bool { try self[index].boolean() }

    @inlinable
    public func string(_ index: Int) throws(MessagePackError) -> String { try self[index].string() }

    @inlinable
    public func binary(_ index: Int) throws(MessagePackError) -> [UInt8] { try self[index].binary() }

    @inlinable
    public func array(_ index: Int) throws(MessagePackError) -> MessagePackArray { try self[index].array() }

    /// The field is an array of strings.
    @inlinable
    public func strings(_ index: Int) throws(MessagePackError) -> [String] {
        let array = try self[index].array()
        var strings: [String] = []
        strings.reserveCapacity(array.count)
        for index in 0..<array.count { strings.append(try array.string(index)) }
        return strings
    }

    /// The field, or nil when it is left out or null.
    @inlinable
    public func optional(_ index: Int) -> MessagePackValue? {
        guard index < elements.count, elements[index].type != MSGPACK_OBJECT_NIL else { return nil }
        return MessagePackValue(elements[index])
    }

    @inlinable
    public func unsigned(_ index: Int, default fallback: UInt64) throws(MessagePackError) -> UInt64 {
        guard let value = optional(index) else { return fallback }
        return try value.unsigned()
    }

    @inlinable
    public func integer(_ index: Int, default fallback: Int64) throws(MessagePackError) -> Int64 {
        guard let value = optional(index) else { return fallback }
        return try value.integer()
    }

    @inlinable
    public func boolean(_ index: Int, default fallback: Bool) throws(MessagePackError) -> Bool {
        guard let value = optional(index) else { return fallback }
        return try value.boolean()
    }

    @inlinable
    public func string(_ index: Int, default fallback: String) throws(MessagePackError) -> String {
        guard let value = optional(index) else { return fallback }
        return try value.string()
    }

    @inlinable
    public func binary(_ index: Int, default fallback: [UInt8]) throws(MessagePackError) -> [UInt8] {
        guard let value = optional(index) else { return fallback }
        return try value.binary()
    }

    @inlinable
    public func strings(_ index: Int, default fallback: [String]) throws(MessagePackError) -> [String] {
        guard optional(index) != nil else { return fallback }
        return try strings(index)
    }
}
