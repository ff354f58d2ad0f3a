import ClusterRuntime
import RegistrarEvents
import Testing

/// Feed and receiver over a link that loses, doubles and delays, against constant writes.
struct ReplicationTests {
    @Test(arguments: ReplicationFixture.seeds, [Follow.Role.standby, .follower])
    func aReplicaConvergesByTheLog(seed: UInt64, role: Follow.Role) throws {
        var rig = try ReplicationRig(role: role, seed: seed)
        for _ in 0..<300 { try rig.step(writes: rig.random.below(6)) }
        try rig.expectToConverge()
        #expect(rig.snapshots == 0)
        #expect(rig.alarms.isEmpty)
    }

    @Test(arguments: ReplicationFixture.seeds.prefix(4), [Follow.Role.standby, .follower])
    func aReplicaConvergesBySnapshotsWhenTheLogIsTooShort(seed: UInt64, role: Follow.Role) throws {
        var rig = try ReplicationRig(role: role, seed: seed, ringEntries: 150, contacts: 3_000)
        for _ in 0..<600 { try rig.step(writes: rig.random.below(8)) }
        try rig.expectToConverge()
        #expect(rig.snapshots > 0 && rig.resyncs > 0)
        #expect(rig.alarms.isEmpty)
    }

    @Test(arguments: ReplicationFixture.seeds, [Follow.Role.standby, .follower])
    func aReplicaConvergesOverChangesOfOwner(seed: UInt64, role: Follow.Role) throws {
        var rig = try ReplicationRig(role: role, seed: seed, ringEntries: 400, contacts: 1_000)
        for round in 0..<6 {
            for _ in 0..<(20 + rig.random.below(150)) { try rig.step(writes: rig.random.below(8)) }
            if round < 5 { rig.changeOwner() }
        }
        try rig.expectToConverge()
        #expect(rig.alarms.isEmpty)
    }

    /// The slots of a chunk are as many as fit; one that is made again covers the same.
    @Test(arguments: ReplicationFixture.seeds.prefix(2), [Follow.Role.standby, .follower])
    func chunksOfLargeContactsAreCutToFitAFrame(seed: UInt64, role: Follow.Role) throws {
        var rig = try ReplicationRig(role: role, seed: seed, ringEntries: 150, contacts: 600, padding: 3_000)
        for _ in 0..<100 { try rig.step(writes: rig.random.below(8)) }
        try rig.expectToConverge()
        #expect(rig.snapshots > 0 && rig.chunksSent > 6)
        #expect(rig.alarms.isEmpty)
        #expect(rig.largest >= Limits.listBytes && rig.largest < 2 * Limits.listBytes - 10_000)
    }

    /// It may get entries from the log long after they were made.
    @Test(arguments: ReplicationFixture.seeds.prefix(4), [Follow.Role.standby, .follower])
    func aReplicaThatComesLateCountsTimesToLiveFromTheirBeginning(seed: UInt64, role: Follow.Role) throws {
        var rig = try ReplicationRig(role: role, seed: seed, contacts: 100)
        for _ in 0..<100 { try rig.step(writes: 3) }
        for _ in 0..<2_000 { try rig.step(writes: 0) }
        rig.restartReplica()
        try rig.expectToConverge()
        #expect(rig.snapshots == 0)
        rig.expectTheSameDeadlines(within: 1_000)
    }

    /// Part of a snapshot is no copy: a replica that lost its place in it must not go on by the log.
    @Test(arguments: ReplicationFixture.seeds.prefix(4), [true, false])
    func aReceiverThatBeganAnewAmidASnapshotConverges(seed: UInt64, keepsCopy: Bool) throws {
        var rig = try ReplicationRig(role: .standby, seed: seed, ringEntries: 1_000, contacts: 9_000)
        try rig.stepIntoASnapshot()
        if keepsCopy {
            rig.receiver = ReplicaReceiver(domain: rig.domain, role: .standby, replica: rig.receiver.replica)
            rig.assign()
        } else {
            rig.restartReplica()
        }
        try rig.expectToConverge()
        #expect(rig.alarms.isEmpty)
    }

    @Test(arguments: ReplicationFixture.seeds.prefix(4), [Follow.Role.standby, .follower])
    func aFeedThatBeganAnewAmidASnapshotConverges(seed: UInt64, role: Follow.Role) throws {
        var rig = try ReplicationRig(role: role, seed: seed, ringEntries: 300, contacts: 9_000)
        try rig.stepIntoASnapshot()
        rig.feed = nil
        try rig.expectToConverge()
        #expect(rig.alarms.isEmpty)
    }

    /// Small ones in which the last chunk is the first, and large ones.
    @Test(arguments: ReplicationFixture.seeds.prefix(4), [150, 4_000])
    func aSnapshotThatDoesNotAddUpIsTakenAgain(seed: UInt64, contacts: Int) throws {
        for role in [Follow.Role.standby, .follower] {
            var rig = try ReplicationRig(role: role, seed: seed, ringEntries: 10, contacts: contacts)
            var isTampered = false
            rig.tamper = { message in
                guard case .chunk(var chunk) = message, chunk.contacts.count > 10 else { return }
                chunk.contacts.removeLast()
                message = .chunk(chunk)
            }
            for _ in 0..<4_000 where rig.alarms.isEmpty {
                try rig.step(writes: rig.random.below(2))
                isTampered = true
            }
            #expect(isTampered && !rig.alarms.isEmpty)
            #expect(!rig.isConverged)
            rig.tamper = nil
            try rig.expectToConverge()
        }
    }

    /// What an in-sync replica holds is what the next owner needs: it is never emptied, whatever it lacks.
    @Test(arguments: ReplicationFixture.seeds)
    func aReplicaInSyncIsNeverSentASnapshot(seed: UInt64) throws {
        var rig = try ReplicationRig(role: .standby, seed: seed, ringEntries: 500)
        rig.loss = 0
        for _ in 0..<100 { try rig.step(writes: 3) }
        try rig.expectToConverge()
        rig.mayRestart = false
        rig.loss = 100
        let count = rig.receiver.replica.table.count
        for _ in 0..<300 { try rig.step(writes: 4) }
        rig.loss = 20
        for _ in 0..<100 { try rig.step(writes: 1) }
        #expect(rig.feed?.isStranded == true)
        #expect(rig.chunksSent == 0 && rig.snapshots == 0)
        #expect(rig.receiver.replica.table.count == count)
        // Once it is not in sync any more, it is helped.
        rig.mayRestart = true
        try rig.expectToConverge()
        #expect(rig.snapshots > 0)
    }

    /// The acknowledgement of a whole snapshot may be lost: what is sent again must not empty the replica again.
    @Test(arguments: ReplicationFixture.seeds)
    func aSnapshotThatWasTakenInWholeIsNotTakenTwice(seed: UInt64) throws {
        var rig = try ReplicationRig(role: .follower, seed: seed, ringEntries: 30, contacts: 100)
        rig.loss = 0
        for _ in 0..<2_000 where rig.resyncs == 0 { try rig.step(writes: 3) }
        rig.loss = 50
        for _ in 0..<40 { try rig.step(writes: 0) }
        try rig.expectToConverge()
        #expect(UInt64(rig.resyncs) <= rig.snapshots)
    }

    /// What a replica says of chunks comes off the wire.
    @Test func nobodyHasChunksThatWereNeverSent() throws {
        var copy = DomainReplica()
        let contacts = try (0..<9_000).map { number in
            let registration = Registration(account: "u\(number)", contact: "c", sipuser: SIPUserDetails(login: ""))
            return LiveContact(contact: try #require(PackedContact(registration)), ttl: 60_000)
        }
        copy.take(contacts, at: ReplicationFixture.start())
        var ring = EventRing(maximumEntries: 1, maximumBytes: 1_000)
        for seq in 1...UInt64(2) { ring.append(LogEntry(seq: seq, timestamp: 0, change: .clear(.failover)), at: 0) }
        let domain = try #require(DomainName("demo.example"))
        func follow(_ snapshot: UInt64, _ next: UInt32) -> Follow {
            Follow(
                domain: domain, role: .standby, epoch: 1, applied: .start, complete: false, snapshot: snapshot,
                nextChunk: next, rewind: false)
        }
        let now = ReplicationFixture.start()
        var feed = ReplicaFeed(
            follow(0, 0), from: NodeID(name: NodeName("b"), incarnation: 1), at: now.monotonic)
        var id: UInt64 = 7
        func chunks() -> [UInt32] {
            feed.pump(
                FeedSource(domain: domain, epoch: 1, committed: 2, replayEnd: 2), ring: ring, replica: copy,
                mayRestart: true, nextSnapshot: &id, at: now
            ).compactMap { if case .chunk(let chunk) = $0 { chunk.index } else { nil } }
        }
        #expect(chunks() == Array(0..<16))
        feed.receive(follow(id, .max), epoch: 1, ring: ring, at: now.monotonic)
        #expect(chunks().isEmpty)
        feed.receive(follow(id, 3), epoch: 1, ring: ring, at: now.monotonic)
        #expect(chunks() == [16, 17, 18])
    }

    /// One of an earlier release speaks twice a second however quiet it is, and is to hear the owner as often.
    @Test func whoSpeaksIsAnsweredHoweverQuietTheDomainIs() throws {
        let domain = try ReplicationFixture.domain()
        let follow = Follow(
            domain: domain, role: .standby, epoch: 1, applied: Position(epoch: 1, seq: 1), complete: true, snapshot: 0,
            nextChunk: 0, rewind: false)
        var ring = EventRing(maximumEntries: 10, maximumBytes: 1_000)
        ring.append(LogEntry(seq: 1, timestamp: 0, change: .clear(.failover)), at: 0)
        let start = ReplicationFixture.start()
        var feed = ReplicaFeed(follow, from: NodeID(name: NodeName("b"), incarnation: 1), at: start.monotonic)
        var id: UInt64 = 7
        let source = FeedSource(domain: domain, epoch: 1, committed: 1, replayEnd: 1)
        var milliseconds: Int64 = 3_600_000
        func answers(everyMilliseconds period: Int64, times: Int) -> Int {
            var count = 0
            for _ in 0..<times {
                milliseconds += period
                let now = ReplicationFixture.moment(milliseconds)
                feed.receive(follow, epoch: 1, ring: ring, at: now.monotonic)
                count +=
                    feed.pump(
                        source, ring: ring, replica: DomainReplica(), mayRestart: false, nextSnapshot: &id, at: now
                    ).count
            }
            return count
        }
        #expect(answers(everyMilliseconds: 500, times: 120) == 120)
        // But not more often, so that two do not talk without end.
        #expect(answers(everyMilliseconds: 100, times: 1_200) <= 1_200 / 4 + 1)
    }

    /// A replica that hears nothing but is heard is slow, however often it is sent everything again.
    @Test func whoIsHeardButMakesNoProgressIsWaitedForSinceThen() throws {
        var rig = try ReplicationRig(role: .standby, seed: 1)
        rig.loss = 0
        for _ in 0..<50 { try rig.step(writes: 2) }
        try rig.expectToConverge()
        let stopped = rig.now.monotonic
        rig.isDeaf = true
        for _ in 0..<300 {
            try rig.step(writes: 1)
            guard let since = rig.feed?.waitingSince else { continue }
            #expect(since - stopped < .milliseconds(700))
        }
        #expect(rig.feed?.waitingSince != nil)
    }
}
