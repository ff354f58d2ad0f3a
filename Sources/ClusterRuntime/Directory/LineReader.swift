import Foundation

/// Reads a file line by line, holding a piece of it at a time.
final class LineReader {
    enum Line: Equatable {
        /// Without its end.
        case text(String)
        case tooLong
        case notUTF8
    }

    /// Longest line, in bytes.
    static let maximumLength = 8192
    private static let pieceSize = 256 << 10

    /// Number of the line read last, from 1.
    private(set) var number = 0
    private let path: String
    private let handle: FileHandle
    private let size: Int
    private var consumed = 0
    private var piece: [UInt8] = []
    private var position = 0
    private var isAtEnd = false

    /// - Throws: when the path names no regular file that can be read.
    init(path: String) throws(FileFault) {
        self.path = path
        do {
            handle = try FileHandle(forReadingFrom: URL(filePath: path))
        } catch {
            throw FileFault(wrong: "cannot read \(path)", expected: "a readable file")
        }
        var status = stat()
        guard fstat(handle.fileDescriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw FileFault(wrong: "\(path) is not a regular file", expected: "a regular file")
        }
        size = Int(status.st_size)
    }

    /// Share of the file that was read, 0 to 1.
    var share: Double { size == 0 ? 1 : min(1, Double(consumed) / Double(size)) }

    /// The next line; they end with LF or CR LF. Nil at the end.
    func next() throws(FileFault) -> Line? {
        var isTooLong = false
        while true {
            if let end = piece[position...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { advance(to: end + 1) }
                return isTooLong ? .tooLong : line(piece[position..<end])
            }
            if isAtEnd {
                guard position < piece.count || isTooLong else { return nil }
                defer { advance(to: piece.count) }
                return isTooLong ? .tooLong : line(piece[position...])
            }
            if piece.count - position > Self.maximumLength {
                isTooLong = true
                consumed += piece.count - position
                position = piece.count
            }
            try readOn()
        }
    }

    private func advance(to end: Int) {
        consumed += end - position
        position = end
        number += 1
    }

    private func line(_ bytes: ArraySlice<UInt8>) -> Line {
        let bytes = bytes.last == UInt8(ascii: "\r") ? bytes.dropLast() : bytes
        guard bytes.count <= Self.maximumLength else { return .tooLong }
        return String(validating: bytes, as: UTF8.self).map { .text($0) } ?? .notUTF8
    }

    private func readOn() throws(FileFault) {
        piece.removeSubrange(..<position)
        position = 0
        do {
            let more = try handle.read(upToCount: Self.pieceSize) ?? Data()
            isAtEnd = more.isEmpty
            piece += more
        } catch {
            throw FileFault(wrong: "cannot read \(path) (\(error))", expected: "a readable file")
        }
    }
}
