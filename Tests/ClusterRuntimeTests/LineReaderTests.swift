import Foundation
import Testing

@testable import ClusterRuntime

@Suite struct LineReaderTests {
    private func lines(of bytes: [UInt8]) async throws -> [LineReader.Line] {
        try await TopologyFixture.withDirectory { folder in
            let path = folder + "/lines"
            try Data(bytes).write(to: URL(filePath: path))
            let reader = try LineReader(path: path)
            var lines: [LineReader.Line] = []
            while let line = try reader.next() {
                lines.append(line)
                #expect(reader.number == lines.count)
            }
            #expect(reader.share == 1)
            return lines
        }
    }

    @Test func linesEndWithLineFeedsOrTheFile() async throws {
        #expect(try await lines(of: []).isEmpty)
        #expect(try await lines(of: Array("a\r\n\nb".utf8)) == [.text("a"), .text(""), .text("b")])
        #expect(try await lines(of: Array("a\n".utf8)) == [.text("a")])
        #expect(try await lines(of: [0x61, 0x0a, 0xff, 0x0a, 0x62]) == [.text("a"), .notUTF8, .text("b")])
    }

    @Test func linesAreFoundAcrossPieces() async throws {
        let text = (0..<40_000).map { "line \($0) of the file" }
        let read = try await lines(of: Array(text.joined(separator: "\n").utf8))
        #expect(read == text.map { .text($0) })
    }

    @Test func whatIsTooLongIsSkippedWithoutBeingHeld() async throws {
        let limit = LineReader.maximumLength
        let long = String(repeating: "x", count: limit)
        let text = "\(long)\n\(long)y\nafter\n" + String(repeating: long, count: 100) + "\nlast\n" + long + long
        #expect(
            try await lines(of: Array(text.utf8)) == [
                .text(long), .tooLong, .text("after"), .tooLong, .text("last"), .tooLong,
            ])
    }

    @Test func whatIsNoFileIsRefused() {
        #expect(throws: FileFault.self) { try LineReader(path: "/nowhere/accounts.csv") }
        #expect(throws: FileFault.self) { try LineReader(path: "/dev/zero") }
    }
}
