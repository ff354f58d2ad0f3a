import ClusterRuntime
import Foundation
import Testing

@testable import ClusterNode

@Suite struct IncarnationTests {
    private func draw(after text: String?) throws -> UInt64 {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("incarnation-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try text?.write(toFile: "\(directory)/incarnation", atomically: false, encoding: .utf8)
        let incarnation = try Incarnation(directory: directory, node: NodeName("sr1"))
        #expect(try String(contentsOfFile: "\(directory)/incarnation", encoding: .utf8) == "\(incarnation.value)")
        return incarnation.value
    }

    @Test func aLifeIsLaterThanTheOneBeforeWhateverTheClockSays() throws {
        let now = UInt64(SystemClock.wall())
        #expect(try draw(after: nil) >= now)
        #expect(try draw(after: "") >= now)
        #expect(try draw(after: "7") >= now)
        #expect(try draw(after: "\(now + 1_000_000_000)") == now + 1_000_000_001)
    }

    @Test func aFileThatLeavesNothingHigherIsNamed() {
        #expect(throws: NodeFailure.self) { try draw(after: "\(UInt64.max)") }
    }
}
