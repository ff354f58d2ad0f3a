import ClusterRuntime
import Foundation
import Logging
import RegistrarEvents
import Synchronization
import Testing

@testable import Destinations

/// A lane at work: its queue, its spool on a real disk, and a destination in this process.
struct LaneTests {
    private let demo: DomainName

    init() throws { demo = try #require(DomainName("demo.example")) }

    private func lane(
        _ destination: Recorder, _ directory: TemporaryDirectory, spool: Int = 1 << 30, queue: Int = 64 << 20
    ) -> Lane {
        Lane(
            settings: LaneSettings(
                name: "recorder", kind: "swift", batch: BatchLimits(events: 50), domainQueueBytes: 20_000,
                queueBytes: queue,
                spoolBytes: spool, firstPause: .milliseconds(1), longestPause: .milliseconds(5)),
            destination: destination, spoolDirectory: directory.path + "/spool", seed: 1,
            tell: { destination.told($0, $1) }, log: Logger(label: "test"))
    }

    private func publish(_ lane: Lane, _ seqs: ClosedRange<UInt64>) {
        for seq in seqs { lane.publish(.entries([LaneRig.entry(seq)], epoch: 1), of: demo) }
    }

    /// Were every look at the receiver to wrap it once more, calling it would overflow the stack long before the end.
    @Test func relayPassesAMillionNoticesOn() {
        let relay = NoticeRelay()
        let count = Atomic(0)
        relay.tell(.replay(to: "recorder"), demo)
        relay.connect { _, _ in count.add(1, ordering: .relaxed) }
        for seq in 1...1_000_000 { relay.tell(.delivered(Position(epoch: 1, seq: UInt64(seq)), to: "recorder"), demo) }
        #expect(count.load(ordering: .relaxed) == 1_000_000)
    }

    @Test func everythingArrivesOnceInOrderThroughTheSpool() async throws {
        let directory = try TemporaryDirectory()
        let recorder = Recorder()
        let lane = lane(recorder, directory)
        recorder.isAway = true
        lane.publish(.began(epoch: 1, LogTail()), of: demo)
        publish(lane, 1...3_000)
        try await eventually { lane.status.spooledEvents > 2_000 }
        try await eventually { lane.status.state == .away }
        #expect(FileManager.default.subpaths(atPath: directory.path)?.contains { $0.hasSuffix(".spool") } == true)
        recorder.isAway = false
        try await eventually { recorder.events.count >= 3_000 }
        #expect(recorder.events.map(\.entry.seq) == Array(1...3_000))
        try await eventually { recorder.cursor == Position(epoch: 1, seq: 3_000) }
        #expect(recorder.events.map(\.entry) == (1...3_000).map { LaneRig.entry($0) }, "as they were before the disk")
        #expect(lane.status.spooledEvents == 0 && lane.status.spooledBytes == 0)
        #expect(FileManager.default.subpaths(atPath: directory.path)?.contains { $0.hasSuffix(".spool") } == false)
    }

    @Test func whatAnEarlierLifeSpooledIsRemoved() async throws {
        let directory = try TemporaryDirectory()
        let stale = directory.path + "/spool/7.spool"
        try FileManager.default.createDirectory(
            atPath: directory.path + "/spool", withIntermediateDirectories: true)
        try Data("stale".utf8).write(to: URL(fileURLWithPath: stale))
        _ = lane(Recorder(), directory)
        #expect(!FileManager.default.fileExists(atPath: stale))
    }

    @Test func spoolsOfDestinationsThatAreNoMoreAreRemoved() throws {
        let directory = try TemporaryDirectory()
        let names = ["kafka", "old"]
        for name in names {
            let path = "\(directory.path)/\(name)"
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            try Data("stale".utf8).write(to: URL(fileURLWithPath: path + "/7.spool"))
        }
        let log = Logger(label: "test")
        Lane.removeSpools(in: directory.path, but: ["kafka", "audit"], log: log)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["kafka"])
        Lane.removeSpools(in: directory.path + "/none", but: [], log: log)
    }

    @Test func aLaneThatEndsLeavesNothingOnTheDisk() async throws {
        let directory = try TemporaryDirectory()
        let recorder = Recorder()
        let lane = lane(recorder, directory)
        recorder.isAway = true
        lane.publish(.began(epoch: 1, LogTail()), of: demo)
        publish(lane, 1...3_000)
        try await eventually { lane.status.spooledEvents > 2_000 }
        await lane.close()
        try await eventually { (try? directory.size(of: "spool")) == 0 }
    }

    @Test func aSpoolThatIsDamagedIsAGapAndNoEnd() async throws {
        let directory = try TemporaryDirectory()
        let recorder = Recorder()
        let lane = lane(recorder, directory)
        recorder.isAway = true
        lane.publish(.began(epoch: 1, LogTail()), of: demo)
        publish(lane, 1...3_000)
        try await eventually { lane.status.spooledEvents > 2_000 }
        for name in FileManager.default.subpaths(atPath: directory.path) ?? [] where name.hasSuffix(".spool") {
            try Data("garbage".utf8).write(to: URL(fileURLWithPath: directory.path + "/" + name))
        }
        recorder.isAway = false
        try await eventually { recorder.asked.contains(.replay(to: "recorder")) }
        #expect(lane.status.lastError?.contains("spool") == true)
        #expect(recorder.events.map(\.entry.seq) == Array(1...UInt64(recorder.events.count)))
    }

    @Test func aSpoolThatIsFullLeavesNoFilesBehind() throws {
        let directory = try TemporaryDirectory()
        let acme = try #require(DomainName("acme.example"))
        var spool = Spool(directory: directory.path + "/spool", limit: 1 << 30)
        let event = DestinationEvent(epoch: 1, entry: LaneRig.entry(1))
        try spool.append([event], of: demo)
        // A disk that is full once a byte is written to it.
        let next = directory.path + "/spool/2.spool"
        try FileManager.default.createSymbolicLink(atPath: next, withDestinationPath: "/dev/full")
        #expect(throws: SpoolError.self) { try spool.append([event], of: acme) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path + "/spool") == ["1.spool"])
        #expect(try spool.read(bytes: 1, of: demo) == [event])
    }

    /// What was read of a file stays until all of it was, and takes room that the journal may need.
    @Test func whatWasReadCountsForAsLongAsItIsOnTheDisk() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/spool"
        let limit = 1 << 20
        var spool = Spool(directory: path, limit: limit)
        let domains = try (0..<20).map { try #require(DomainName("d\($0).example")) }
        let events = (1...1_500).map { DestinationEvent(epoch: 1, entry: LaneRig.entry($0)) }
        var failures = 0
        for domain in domains {
            if try spool.append(events, of: domain) == events.count {
                // All but the last record.
                #expect(try spool.read(bytes: 50_000, of: domain).count < events.count)
            } else {
                failures += 1
                spool.drop(domain)
            }
            #expect(try directory.size(of: "spool") <= limit)
        }
        #expect(failures > 0)
        for domain in domains { spool.drop(domain) }
        #expect(try directory.size(of: "spool") == 0)
        try spool.append(events, of: domains[0])
        #expect(try spool.read(bytes: limit, of: domains[0]) == events)
    }

    /// Files that were read are gone already then, and must not count as room once more.
    @Test func aReadThatFailsBehindTheEndOfAFileMakesNoRoom() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/spool"
        let limit = 1 << 20
        var spool = Spool(directory: path, limit: limit)
        let events = (1...500).map { DestinationEvent(epoch: 1, entry: LaneRig.entry($0)) }
        let third = path + "/3.spool"
        while !FileManager.default.fileExists(atPath: third) { try spool.append(events, of: demo) }
        #expect(truncate(path + "/2.spool", 10) == 0)
        #expect(throws: SpoolError.self) { try spool.read(bytes: limit, of: demo) }
        spool.drop(demo)
        while try spool.append(events, of: demo) == events.count {}
        let size = try directory.size(of: "spool")
        #expect(size <= limit && size > limit / 2)
    }

    /// A lane of which what it tells the owner of the first event holds up everything else.
    private func heldUp(_ recorder: Recorder, _ directory: TemporaryDirectory) async throws -> Lane {
        let lane = lane(recorder, directory, queue: 10_000)
        recorder.isHeld = true
        lane.publish(.began(epoch: 1, LogTail()), of: demo)
        publish(lane, 1...1)
        try await eventually { recorder.cursor == Position(epoch: 1, seq: 1) }
        return lane
    }

    /// What waits for a lane that is held up is bounded by its size, and that something is missing is told, also when
    /// nothing follows.
    @Test func whatWaitsForTheLaneIsBoundedInBytes() async throws {
        let directory = try TemporaryDirectory()
        let recorder = Recorder()
        let lane = try await heldUp(recorder, directory)
        publish(lane, 2...2_001)
        #expect(lane.status.delivered == 1, "its status does not wait for it")
        recorder.isHeld = false
        try await eventually { recorder.asked == [.replay(to: "recorder")] }
        let delivered = UInt64(recorder.events.count)
        #expect(recorder.events.map(\.entry.seq) == Array(1..<1 + delivered))
        #expect(lane.status.dropped == 2_001 - delivered)
    }

    /// The part does not show it, and nothing else may be to come.
    @Test func whatIsMissedBehindThePartOfAReplayIsRestated() async throws {
        let directory = try TemporaryDirectory()
        let recorder = Recorder()
        let lane = lane(recorder, directory, queue: 10_000)
        lane.publish(.began(epoch: 1, LogTail()), of: demo)
        publish(lane, 1...1)
        try await eventually { recorder.cursor == Position(epoch: 1, seq: 1) }
        recorder.isHeld = true
        publish(lane, 5...5)
        try await eventually { recorder.asked == [.replay(to: "recorder")] }
        publish(lane, 6...1_000)
        let part = DestinationReplay.Part(epoch: 1, after: 1_000, isFirst: true, isLast: true, contacts: [])
        lane.publish(.replay(part, to: "recorder"), of: demo)
        publish(lane, 1_001...1_001)
        recorder.isHeld = false
        try await eventually { recorder.asked == [.replay(to: "recorder"), .replay(to: "recorder")] }
        #expect(lane.status.dropped == 997 && lane.status.resyncs == 1)
    }

    /// Of a domain that is being removed there is no event after the `clear`, whose absence would be noticed by it.
    @Test func whatAnEpochMissesBehindOneThatMissedEventsIsRestated() async throws {
        let directory = try TemporaryDirectory()
        let recorder = Recorder()
        let lane = try await heldUp(recorder, directory)
        publish(lane, 2...1_001)
        lane.publish(.began(epoch: 2, LogTail()), of: demo)
        let clear = LogEntry(seq: 1, timestamp: 0, change: .clear(.storageCleared))
        lane.publish(.entries([clear], epoch: 2), of: demo)
        recorder.isHeld = false
        try await eventually { lane.status.dropped + lane.status.delivered == 1_002 }
        try await eventually { recorder.asked.contains(.replay(to: "recorder")) && lane.status.queuedEvents == 0 }
        #expect(lane.status.domains.map(\.isBeingRestated) == [true])
    }

    @Test func aDomainThatComesBackWaitsUntilItIsForgotten() async throws {
        let directory = try TemporaryDirectory()
        let recorder = Recorder()
        let lane = lane(recorder, directory)
        recorder.isForgetful = false
        for epoch in 1...2 as ClosedRange<UInt64> {
            lane.publish(.began(epoch: epoch, LogTail()), of: demo)
            lane.publish(.entries([LaneRig.entry(1)], epoch: epoch), of: demo)
            try await eventually { recorder.events.count == 1 }
            if epoch == 1 { lane.publish(.ended, of: demo) }
        }
        try await eventually { lane.status.domains.map(\.published) == ["2:1"] }
        #expect(recorder.events.count == 1)
        recorder.isForgetful = true
        try await eventually { recorder.events.map(\.epoch) == [1, 2] }
    }

    /// Owners publish from their own tasks; however slow the destination, that takes no time.
    @Test func publishingNeverWaitsForTheDestination() async throws {
        let directory = try TemporaryDirectory()
        let recorder = Recorder()
        let lane = lane(recorder, directory, spool: 100_000)
        recorder.hangs = true
        lane.publish(.began(epoch: 1, LogTail()), of: demo)
        publish(lane, 1...20_000)
        try await eventually { lane.status.dropped > 0 }
        #expect(recorder.events.isEmpty)
        #expect(lane.status.queuedBytes <= 40_000 && lane.status.spooledBytes <= 100_000)
    }
}

/// A destination that keeps what it gets, unless it is away or hangs.
private final class Recorder: Destination {
    private struct State {
        var events: [DestinationEvent] = []
        var asked: [DestinationNotice] = []
        var cursor = Position.start
        var isAway = false
        var hangs = false
        var isHeld = false
        var isForgetful = true
    }

    private let state = Mutex(State())

    var events: [DestinationEvent] { state.withLock { $0.events } }
    var asked: [DestinationNotice] { state.withLock { $0.asked } }
    var cursor: Position { state.withLock { $0.cursor } }
    var isAway: Bool {
        get { state.withLock { $0.isAway } }
        set { state.withLock { $0.isAway = newValue } }
    }
    var hangs: Bool {
        get { state.withLock { $0.hangs } }
        set { state.withLock { $0.hangs = newValue } }
    }

    /// Whether whoever tells it something is held up.
    var isHeld: Bool {
        get { state.withLock { $0.isHeld } }
        set { state.withLock { $0.isHeld = newValue } }
    }

    /// Whether it comes to an end with forgetting a domain.
    var isForgetful: Bool {
        get { state.withLock { $0.isForgetful } }
        set { state.withLock { $0.isForgetful = newValue } }
    }

    func forget(_ domain: DomainName) async {
        // Never cancelled.
        while !isForgetful { try? await Task.sleep(for: .milliseconds(5)) }
    }

    func told(_ notice: DestinationNotice, _ domain: DomainName) {
        defer { while isHeld { usleep(1_000) } }
        state.withLock { state in
            if case .delivered(let position, _) = notice { state.cursor = position } else { state.asked.append(notice) }
        }
    }

    func deliver(_ batch: DestinationBatch) async throws(DestinationError) {
        if hangs { await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in } }
        guard !isAway else { throw DestinationError(.unavailable, "away") }
        state.withLock { $0.events += batch.events }
    }
}

private final class TemporaryDirectory {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "rollcall-lane-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    /// What the files in a directory of it have, in bytes.
    func size(of name: String) throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "\(path)/\(name)").reduce(0) { sum, file in
            let attributes = try FileManager.default.attributesOfItem(atPath: "\(path)/\(name)/\(file)")
            return sum + (try #require(attributes[.size] as? Int))
        }
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)  // left behind, it does no harm
    }
}

/// Waits for a condition, generously.
private func eventually(_ isTrue: () -> Bool, sourceLocation: SourceLocation = #_sourceLocation) async throws {
    for _ in 0..<3_000 {
        if isTrue() { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("it did not come true within 30 s", sourceLocation: sourceLocation)
}
