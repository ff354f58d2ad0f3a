import ClusterRuntime
import Filtering
import RegistrarEvents
import Testing

@testable import WSSubscrActor

/// Whatever happens to the domain and to the nodes: who applies net changes holds what those hold who apply the log.
struct NetChangesPropertyTests {
    @Test(arguments: 0..<80) func theListIsThatOfTheWholeLog(_ seed: UInt64) throws {
        var world = World(seed: seed)
        try world.begin()
        for _ in 0..<12 {
            for _ in 0..<60 { try world.step() }
            try world.settle()
            world.compare()
        }
        world.compareEconomy()
    }
}

/// A domain with two nodes that follow it, one of them behind the other, and subscribers of all kinds.
private struct World {
    let seed: UInt64
    var random: SplitMix64
    var owner = Owner()
    /// What the owner held at earlier times; after a restart it may hold that again.
    var earlier: [[String: PackedContact]] = []
    /// What has yet to be restated in this epoch.
    var unrestated: [String] = []
    var isReplaying = false
    var snapshots: UInt64 = 0
    var nodes: [Node] = []
    var readers: [Reader] = []
    var nextNumber: UInt32 = 0
    var time: Int64 = 0

    struct Node {
        var follower: Follower
        /// What is on its way to it.
        var inbox: [Follower.Event] = []
    }

    struct Reader {
        let matcher: SubscriptionMatcher
        /// Whether it always keeps up and stays where it is.
        let isSteady: Bool
        var node: Int
        var client: Client
    }

    init(seed: UInt64) {
        self.seed = seed
        random = SplitMix64(seed: seed)
        var settings = FollowerSettings()
        settings.ringEntries = seed % 3 == 0 ? 30 : 400
        settings.sliceBytes = 1_500
        settings.snapshotSharing = .milliseconds(50)
        nodes = (0..<2).map { _ in Node(follower: Follower(domain: demo, settings: settings)) }
    }

    mutating func below(_ limit: Int) -> Int { Int(random.next() % UInt64(limit)) }

    // MARK: Nodes

    mutating func handle(_ event: Follower.Event, at node: Int) throws {
        let directives = nodes[node].follower.handle(event, at: at(time))
        for index in readers.indices where readers[index].node == node {
            try readers[index].client.take(directives)
        }
    }

    mutating func send(_ event: Follower.Event) {
        for node in nodes.indices { nodes[node].inbox.append(event) }
    }

    mutating func deliver(_ count: Int, to node: Int) throws {
        for event in nodes[node].inbox.prefix(count) { try handle(event, at: node) }
        nodes[node].inbox.removeFirst(min(count, nodes[node].inbox.count))
        // One that lost something asks for it, and is sent a snapshot.
        let replica = nodes[node].follower.receiver.replica
        let isBehind = replica.position != Position(epoch: owner.epoch, seq: owner.seq) || !replica.isComplete
        if nodes[node].inbox.isEmpty, isBehind {
            snapshots += 1
            nodes[node].inbox += owner.chunks(snapshots, of: 1 + below(6))
        }
    }

    static func isAssignment(_ event: Follower.Event) -> Bool {
        if case .assigned = event { return true }
        return false
    }

    // MARK: The domain

    mutating func change() -> LogEntry.Change {
        let name = "u\(below(15))"
        let known = owner.live["user/\(name)/c1"] ?? owner.live["sipuser/\(name)/c1"]
        if let known, below(4) == 0 { return .unregistered(known, .expiredContact) }
        return .registered(contact(name, version: below(4), cseq: random.next()), ttl: 60_000, replay: false)
    }

    /// People and devices; what a device says of itself depends on the version, and each request has its number.
    func contact(_ name: String, version: Int, cseq: UInt64) -> PackedContact {
        let isUser = name.hasSuffix("0") || name.hasSuffix("5")
        let registration =
            isUser
            ? Registration(account: name, contact: "c1", user: UserDetails(sessionID: "s\(version / 3)"))
            : Registration(
                account: name, contact: "c1",
                sipuser: SIPUserDetails(
                    login: name, transport: version == 0 ? "tls" : "udp", path: version == 3 ? ["p"] : [],
                    callID: "c\(cseq % 3)", cseq: UInt32(cseq % 1_000)))
        return PackedContact(registration) ?? { preconditionFailure("too long") }()
    }

    mutating func beginEpoch(_ reason: ClearReason) throws {
        // What is on its way from the old owner may be lost with it.
        for node in nodes.indices {
            let kept = below(nodes[node].inbox.count + 1)
            nodes[node].inbox.removeLast(nodes[node].inbox.count - kept)
        }
        if reason == .restart, let older = earlier.last { owner.live = older }
        earlier = []
        (owner.epoch, owner.seq, owner.replayEnd) = (owner.epoch + 1, 0, 0)
        send(.assigned(owner.assignment))
        send(owner.append([.clear(reason)]))
        unrestated = owner.live.keys.sorted()
        isReplaying = true
    }

    mutating func replay(_ count: Int) {
        guard isReplaying else { return }
        let batch = unrestated.prefix(count).compactMap { owner.live[$0] }
        unrestated.removeFirst(min(count, unrestated.count))
        if unrestated.isEmpty {
            isReplaying = false
            owner.replayEnd = owner.seq + UInt64(batch.count)
        }
        send(owner.append(batch.map { .registered($0, ttl: 60_000, replay: true) }))
    }

    // MARK: Subscribers

    mutating func begin() throws {
        send(.assigned(owner.assignment))
        send(owner.append([.clear(.restart)]))
        isReplaying = true
        replay(1)
        for node in nodes.indices { try deliver(.max, to: node) }
        let tls = try Filter<EventProperty>(["!=", ["property", "transport"], "udp"])
        let matchers: [SubscriptionMatcher] = [
            .everything, SubscriptionMatcher(.all, changes: true),
            SubscriptionMatcher(.all, filter: tls, changes: true),
            SubscriptionMatcher(.all, objects: ["u1", "u5", "u9"], changes: true),
            SubscriptionMatcher(.all, objects: ["u1", "u2", "u4"], filter: tls, changes: true),
        ]
        for matcher in matchers {
            for isSteady in [true, false] {
                nextNumber += 1
                readers.append(
                    Reader(matcher: matcher, isSteady: isSteady, node: 0, client: Client(nextNumber)))
                try subscribe(readers.count - 1, .snapshot)
            }
        }
    }

    mutating func subscribe(_ reader: Int, _ start: SubscribeRequest.Start?) throws {
        let request = SubscribeRequest(
            id: readers[reader].client.id, matcher: readers[reader].matcher, expires: .seconds(99_999), start: start)
        try handle(.subscribe(request), at: readers[reader].node)
    }

    /// Cuts the connection, and goes on at the other node from the last position seen.
    mutating func reconnect(_ reader: Int) throws {
        let old = readers[reader]
        guard old.client.isBroken || !old.client.owesReady, let last = old.client.seen.last else { return }
        try handle(.cancel(old.client.id), at: old.node)
        nextNumber += 1
        readers[reader].client.id = Client(nextNumber).id
        readers[reader].client.reset()
        readers[reader].node = 1 - old.node
        // Who may be amid a snapshot asks for it again.
        let begun = old.client.seen.last { $0.reason == "snapshot" || $0.reason == "resync" }
        let isAmid = begun?.position == last.position && (last.isReplay || last.type == "clear")
        try subscribe(reader, isAmid ? .snapshot : .after(last.position))
    }

    mutating func pull(_ reader: Int) throws {
        while let event = readers[reader].client.ready() { try handle(event, at: readers[reader].node) }
    }

    // MARK: Running

    mutating func step() throws {
        time += Int64(below(30))
        for reader in readers.indices where readers[reader].isSteady { try pull(reader) }
        let reader = below(readers.count)
        let node = below(2)
        switch below(44) {
        case 0: try beginEpoch(.failover)
        case 1: try beginEpoch(.restart)
        case 2 where below(4) == 0:
            owner.live = [:]
            try beginEpoch(.storageCleared)
        case 3: nodes[node].inbox.removeAll { !Self.isAssignment($0) }
        case 4, 5: if !readers[reader].isSteady { try reconnect(reader) }
        case 6, 7: if !readers[reader].isSteady { readers[reader].client.dropsPushed.toggle() }
        case 42 where !readers[reader].isSteady && !readers[reader].client.isBroken:
            readers[reader].client.breaksAfter = 1 + below(6)
        case 8, 9: try pull(reader)
        case 10..<16: try deliver(1 + below(4), to: node)
        case 16..<19: try handle(.turnEnded, at: node)
        case 19..<23: replay(1 + below(8))
        case 23: if earlier.count < 3 { earlier.append(owner.live) }
        default: for _ in 0...below(3) { send(owner.append([change()])) }
        }
    }

    mutating func settle() throws {
        replay(.max)
        // Owners repeat where the replay ended with each heartbeat.
        send(owner.append([]))
        for node in nodes.indices {
            while !nodes[node].inbox.isEmpty { try deliver(.max, to: node) }
            try handle(.turnEnded, at: node)
        }
        for reader in readers.indices {
            if readers[reader].client.isBroken { try reconnect(reader) }
            readers[reader].client.breaksAfter = nil
            readers[reader].client.dropsPushed = false
            try pull(reader)
        }
    }

    func compare() {
        var live: [String: String] = [:]
        for (name, contact) in owner.live {
            let entry = LogEntry(seq: 1, timestamp: 0, change: .registered(contact, ttl: 1, replay: false))
            let tail = try? EventJSON.tail(of: entry, domain: demo, epoch: 1)
            live[name] = tail.flatMap { try? Client.parse($0) }?.data
        }
        for reader in readers {
            let expected = live.filter { name, _ in
                guard let contact = owner.live[name], let registration = try? contact.registration() else {
                    return false
                }
                let entry = LogEntry(seq: 1, timestamp: 0, change: .registered(contact, ttl: 1, replay: false))
                return EventView(entry, registration).map(reader.matcher.matches) ?? false
            }
            let names = Set(expected.keys).union(reader.client.list.keys)
            let wrong = names.filter { expected[$0] != reader.client.list[$0] }.sorted()
            #expect(wrong.isEmpty, "seed \(seed), subscriber \(reader.client.id.number) at node \(reader.node)")
        }
    }

    /// Nothing that changes nothing is told, and positions never go back.
    func compareEconomy() {
        for reader in readers where reader.matcher.changes {
            var list: [String: String] = [:]
            var last = Position.start
            for event in reader.client.seen {
                // A node may be behind the one before; it says so.
                let isOwnClear = event.reason == "resync" || event.reason == "snapshot"
                #expect(event.position >= last || isOwnClear, "seed \(seed): \(event) after \(last)")
                last = event.position
                if event.type == "clear" {
                    let isOwn = ["snapshot", "resync", "storage_cleared"].contains(event.reason)
                    #expect(isOwn, "seed \(seed): \(event)")
                    list = [:]
                    continue
                }
                let isRegistered = event.type.hasSuffix("_registered")
                let isNews = isRegistered ? list[event.contact] != event.data : list[event.contact] != nil
                // What leaves a filter may never have been within it.
                if reader.isSteady, reader.matcher.filter == nil {
                    #expect(isNews, "seed \(seed): \(event) was known")
                }
                list[event.contact] = isRegistered ? event.data : nil
            }
        }
    }
}

extension Owner {
    /// A snapshot of everything, as of the last entry, in parts.
    fileprivate func chunks(_ number: UInt64, of size: Int) -> [Follower.Event] {
        var table = ContactTable()
        for contact in live.values { table.put(contact, deadline: 0) }
        let contacts = live.keys.sorted().compactMap { live[$0] }.map { LiveContact(contact: $0, ttl: 60_000) }
        let parts = stride(from: 0, to: max(contacts.count, 1), by: size).map { start in
            Array(contacts[min(start, contacts.count)..<min(start + size, contacts.count)])
        }
        return parts.enumerated().map { index, part in
            let isLast = index == parts.count - 1
            let seal = SnapshotChunk.Seal(seq: seq, count: UInt64(table.count), digest: table.digest)
            return .chunk(
                SnapshotChunk(
                    domain: demo, epoch: epoch, snapshot: number, index: UInt32(index), after: seq, contacts: part,
                    seal: isLast ? seal : nil), from: node)
        }
    }
}
