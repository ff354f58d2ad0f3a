internal import CNettle

/// What a digest is made of, part by part: nothing is put together first.
///
/// Hashing is nettle's, which has all three algorithms and uses what the processor offers for them.
public struct DigestInput: ~Copyable {
    private let algorithm: DigestAlgorithm
    private let context: UnsafeMutableRawPointer

    /// Size and alignment of the memory that holds any algorithm's state.
    fileprivate static let contextSize = MemoryLayout<sha512_ctx>.stride
    fileprivate static let contextAlignment = MemoryLayout<sha512_ctx>.alignment

    fileprivate init(_ algorithm: DigestAlgorithm, _ memory: UnsafeMutableRawPointer) {
        self.algorithm = algorithm
        context = memory
        switch algorithm {
        case .sha512_256: nettle_sha512_256_init(memory.bindMemory(to: sha512_ctx.self, capacity: 1))
        case .sha256: nettle_sha256_init(memory.bindMemory(to: sha256_ctx.self, capacity: 1))
        case .md5: nettle_md5_init(memory.bindMemory(to: md5_ctx.self, capacity: 1))
        }
    }

    /// Adds bytes.
    public func append(_ bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
        switch algorithm {
        // SHA-512/256 is SHA-512 with another beginning, so the two share this function.
        case .sha512_256:
            nettle_sha512_update(context.assumingMemoryBound(to: sha512_ctx.self), bytes.count, start)
        case .sha256: nettle_sha256_update(context.assumingMemoryBound(to: sha256_ctx.self), bytes.count, start)
        case .md5: nettle_md5_update(context.assumingMemoryBound(to: md5_ctx.self), bytes.count, start)
        }
    }

    /// Adds bytes.
    public func append(_ bytes: Span<UInt8>) { bytes.withUnsafeBytes { append($0) } }

    /// Adds one byte, such as the colon between two parts.
    public func append(_ byte: UInt8) { withUnsafeBytes(of: byte) { append($0) } }

    /// Adds a text in UTF-8.
    public func append(_ text: String) {
        var text = text
        text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    /// Adds the digits of another digest.
    public func append(_ digest: HexDigest) { digest.withUnsafeBytes { append($0) } }

    fileprivate func finish(into result: UnsafeMutableBufferPointer<UInt8>) {
        guard let start = result.baseAddress else { preconditionFailure("no room for a digest") }
        switch algorithm {
        case .sha512_256:
            nettle_sha512_256_digest(context.assumingMemoryBound(to: sha512_ctx.self), result.count, start)
        case .sha256: nettle_sha256_digest(context.assumingMemoryBound(to: sha256_ctx.self), result.count, start)
        case .md5: nettle_md5_digest(context.assumingMemoryBound(to: md5_ctx.self), result.count, start)
        }
    }
}

extension DigestAlgorithm {
    /// Hashes what `feed` appends.
    /// - Returns: the digest in lower-case hex.
    public func hex(_ feed: (borrowing DigestInput) -> Void) -> HexDigest {
        withDigest(feed) { HexDigest($0) }
    }

    /// Hashes what `feed` appends, for those who keep the digest's bytes: `use` sees them.
    public func withDigest<Result>(_ feed: (borrowing DigestInput) -> Void, _ use: (Span<UInt8>) -> Result) -> Result {
        withUnsafeTemporaryAllocation(
            byteCount: DigestInput.contextSize, alignment: DigestInput.contextAlignment
        ) { memory in
            guard let start = memory.baseAddress else { preconditionFailure("no memory for a digest") }
            let input = DigestInput(self, start)
            feed(input)
            return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: digestLength) { result in
                input.finish(into: result)
                return use(result.span)
            }
        }
    }
}
