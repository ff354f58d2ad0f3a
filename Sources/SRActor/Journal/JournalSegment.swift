#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// One file of the journal: a header, then records of length, checksum and body.
///
/// Every number is little-endian. A record that is cut short or does not match its checksum ends the segment.
struct JournalSegment {
    static let magic: [UInt8] = Array("RCJ1".utf8)
    static let headerLength = 12
    /// Longest body: a chunk of a snapshot is the largest record there is.
    static let maximumBody = 8 * 1_024 * 1_024

    let number: UInt64
    let path: String
    private let descriptor: Int32
    /// Bytes known to be whole.
    private(set) var length: Int
    /// Whether something was written since it was last taken up to be synced.
    var isDirty = false

    static func name(_ number: UInt64) -> String {
        let digits = String(number)
        return "segment-" + String(repeating: "0", count: max(0, 10 - digits.count)) + digits + ".rcj"
    }

    static func number(ofFile name: String) -> UInt64? {
        guard name.hasPrefix("segment-"), name.hasSuffix(".rcj"), let number = UInt64(name.dropFirst(8).dropLast(4)),
            self.name(number) == name
        else { return nil }
        return number
    }

    /// Creates a segment, or opens one to append after `length` whole bytes.
    init(number: UInt64, directory: String, length: Int? = nil) throws(JournalError) {
        self.number = number
        path = directory + "/" + Self.name(number)
        descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw JournalError("cannot open \(path)", errno) }
        self.length = length ?? 0
        guard ftruncate(descriptor, off_t(self.length)) == 0 else {
            let code = errno
            Glibc.close(descriptor)
            throw JournalError("cannot cut \(path) to \(self.length) bytes", code)
        }
        guard length == nil else { return }
        do {
            try append(Self.magic + Self.bytes(of: number))
        } catch {
            Glibc.close(descriptor)
            unlink(path)
            throw error
        }
    }

    /// Writes bytes after the last whole record; on failure the segment is as it was.
    mutating func append(_ bytes: [UInt8]) throws(JournalError) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress! + written, bytes.count - written, off_t(length + written))
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                let code = count < 0 ? errno : ENOSPC
                _ = ftruncate(descriptor, off_t(length))
                throw JournalError("cannot write \(bytes.count) bytes to \(path)", code)
            }
            written += count
        }
        length += bytes.count
        isDirty = true
    }

    /// A record around a body.
    static func frame(_ body: [UInt8], into buffer: inout [UInt8]) {
        precondition(body.count <= maximumBody, "a record of \(body.count) bytes; the limit is \(maximumBody)")
        buffer.append(contentsOf: bytes(of: UInt32(body.count)))
        buffer.append(contentsOf: bytes(of: CRC32C.checksum(body)))
        buffer.append(contentsOf: body)
    }

    /// A second descriptor of the file, to sync it while others write. For the caller to close.
    var descriptorToSync: Int32 { dup(descriptor) }

    func close() { Glibc.close(descriptor) }

    func remove() {
        close()
        unlink(path)
    }

    private static func bytes(of number: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: number.littleEndian) { Array($0) }
    }
}

/// The journal could not do what it was asked to.
public struct JournalError: Error, CustomStringConvertible, Sendable {
    public let description: String

    init(_ what: String, _ code: Int32) { description = "\(what): \(String(cString: strerror(code)))" }
    init(_ what: String) { description = what }
}
