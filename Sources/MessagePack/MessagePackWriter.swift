public import CMsgpack

/// Builds MessagePack bytes value by value. The caller keeps the shape right: after `array(3)` come three values.
///
/// Coding is msgpack-c's; every value takes its shortest form. Source: the MessagePack specification (msgpack.org).
@frozen
public struct MessagePackWriter: ~Copyable {
    @usableFromInline var buffer: msgpack_sbuffer

    /// - Parameter capacity: bytes to make room for at once; the buffer grows by doubling.
    public init(reserving capacity: Int = 256) {
        buffer = msgpack_sbuffer()
        Self.expectMemory(rollcall_sbuffer_reserve(&buffer, max(capacity, 16)))
    }

    deinit {
        var buffer = self.buffer
        msgpack_sbuffer_destroy(&buffer)
    }

    /// Bytes written so far.
    @inlinable
    public var count: Int { buffer.size }

    @inlinable
    public mutating func array(_ count: Int) { Self.expectMemory(rollcall_pack_array(&buffer, count)) }

    @inlinable
    public mutating func map(_ count: Int) { Self.expectMemory(rollcall_pack_map(&buffer, count)) }

    @inlinable
    public mutating func integer(_ value: Int64) { Self.expectMemory(rollcall_pack_integer(&buffer, value)) }

    @inlinable
    public mutating func unsigned(_ value: UInt64) { Self.expectMemory(rollcall_pack_unsigned(&buffer, value)) }

    @inlinable
    public mutating func double(_ value: Double) { Self.expectMemory(rollcall_pack_double(&buffer, value)) }

    @inlinable
    public mutating func boolean(_ value: Bool) { Self.expectMemory(rollcall_pack_boolean(&buffer, value)) }

    @inlinable
    public mutating func null() { Self.expectMemory(rollcall_pack_nil(&buffer)) }

    @inlinable
    public mutating func string(_ value: String) {
        var value = value
        let status = value.withUTF8 { rollcall_pack_string(&buffer, $0.baseAddress, $0.count) }
        Self.expectMemory(status)
    }

    @inlinable
    public mutating func binary(_ bytes: [UInt8]) {
        Self.expectMemory(bytes.withUnsafeBytes { rollcall_pack_binary(&buffer, $0.baseAddress, $0.count) })
    }

    @inlinable
    public mutating func binary(_ bytes: ArraySlice<UInt8>) {
        Self.expectMemory(bytes.withUnsafeBytes { rollcall_pack_binary(&buffer, $0.baseAddress, $0.count) })
    }

    /// Appends a value that is encoded already.
    @inlinable
    public mutating func raw(_ bytes: [UInt8]) {
        Self.expectMemory(bytes.withUnsafeBytes { msgpack_sbuffer_write(&buffer, $0.baseAddress, $0.count) })
    }

    /// Forgets what was written and keeps the memory, for the next value.
    @inlinable
    public mutating func removeAll() { msgpack_sbuffer_clear(&buffer) }

    /// Lends what was written so far, without a copy.
    @inlinable
    public borrowing func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        body(UnsafeRawBufferPointer(start: buffer.data, count: buffer.size))
    }

    /// The finished bytes.
    @inlinable
    public consuming func finish() -> [UInt8] {
        withUnsafeBytes { [UInt8]($0) }
    }

    @inlinable @inline(__always)
    static func expectMemory(_ status: Int32) {
        precondition(status == 0, "out of memory while encoding MessagePack")
    }
}
