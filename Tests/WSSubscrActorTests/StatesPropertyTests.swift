import ClusterRuntime
import RegistrarEvents
import Testing

@testable import WSSubscrActor

/// Whatever happens in whatever order, and at whichever of two nodes: who applies what it is sent ends with the
/// accounts that are online, and is told no change that is none.
struct StatesPropertyTests {
    @Test(arguments: 0..<200) func everySubscriberEndsWithWhoIsOnline(_ seed: UInt64) throws {
        print("seed \(seed)")
        var world = World(seed: seed)
        try world.run(steps: 400)
        try world.settle()
        for client in world.clients {
            #expect(client.states.online == world.online, "seed \(seed), client \(client.states.id)")
        }
    }

    private struct Seat {
        var states: StatesClient
        var node: Int
    }

    /// Two followers of one owner, which hear of things at different times; clients move between them.
    private struct World {
        var followers: [Follower] = []
        /// What is on its way to each follower.
        var links: [[Follower.Event]] = [[], []]
        var owner = Owner()
        var clients = (1...4).map { Seat(states: StatesClient(UInt32($0)), node: 0) }
        var random: SplitMix64
        var snapshots: UInt64 = 0
        var time: Int64 = 0
        /// Restated so far, and to be, while a replay goes on.
        var toRestate: [PackedContact] = []

        var online: Set<String> { Set(owner.live.values.compactMap { try? $0.key().account.name }) }

        init(seed: UInt64) {
            random = SplitMix64(seed: seed)
            var settings = FollowerSettings()
            settings.ringEntries = 40
            settings.sliceBytes = 700
            settings.snapshotSharing = .milliseconds(50)
            followers = [Follower(domain: demo, settings: settings), Follower(domain: demo, settings: settings)]
        }

        mutating func run(steps: Int) throws {
            beginEpoch(1, losing: false)
            for index in clients.indices { try subscribe(index, .snapshot) }
            for _ in 0..<steps { try step() }
        }

        // MARK: The owner

        /// The followers may not have heard all of the epoch before; what it restates comes bit by bit.
        private mutating func beginEpoch(_ number: UInt64, losing: Bool) {
            if losing, let lost = owner.live.keys.sorted().first { owner.live[lost] = nil }
            if number > 1 {
                // What is on its way from a deposed owner is not taken any more.
                for node in 0..<2 { links[node] = Array(links[node].prefix(Int(random.next() % 3))) }
            }
            (owner.epoch, owner.seq, owner.replayEnd) = (number, 0, 0)
            toRestate = owner.live.keys.sorted().compactMap { owner.live[$0] }
            tell(.assigned(owner.assignment))
            tell(owner.append([.clear(.failover)]))
            restate(atMost: Int(random.next() % 4))
        }

        private mutating func restate(atMost count: Int) {
            guard owner.replayEnd == 0 else { return }
            let batch = toRestate.prefix(count).filter { owner.live[Owner.name($0)] != nil }
            toRestate.removeFirst(min(count, toRestate.count))
            if !batch.isEmpty { tell(owner.append(batch.map { .registered($0, ttl: 60_000, replay: true) })) }
            if toRestate.isEmpty {
                owner.replayEnd = owner.seq
                tell(owner.append([]))
            }
        }

        private mutating func tell(_ event: Follower.Event) {
            for node in 0..<2 { links[node].append(event) }
        }

        private mutating func write() {
            let choice = random.next()
            let account = "u\(choice % 13)"
            let device = Int(choice >> 8 % 2) % 2
            let isThere = owner.live["user/\(account)/c\(device)"] != nil
            // What was not restated yet ends in the owner's list only.
            let change: LogEntry.Change =
                isThere && choice % 3 != 0
                ? .unregistered(contact(account, device), .expiredContact)
                : .registered(contact(account, device), ttl: 60_000, replay: false)
            tell(owner.append([change]))
        }

        // MARK: Followers and clients

        private mutating func handle(_ event: Follower.Event, at node: Int) throws {
            let directives = followers[node].handle(event, at: at(time))
            for index in clients.indices where clients[index].node == node {
                try clients[index].states.take(directives)
            }
        }

        private mutating func subscribe(_ index: Int, _ start: SubscribeRequest.Start) throws {
            let request = SubscribeRequest(
                id: clients[index].states.id, matcher: SubscriptionMatcher(.userStates), expires: .seconds(9999),
                start: start)
            try handle(.subscribe(request), at: clients[index].node)
        }

        private mutating func arrive(_ node: Int, _ count: Int) throws {
            for _ in 0..<min(count, links[node].count) { try handle(links[node].removeFirst(), at: node) }
            if random.next() % 3 > 0 { try handle(.turnEnded, at: node) }
        }

        /// The client's socket breaks; it connects to a node of its choice and resumes.
        private mutating func move(_ index: Int) throws {
            // Amid a snapshot there is nothing to resume from.
            let position = clients[index].states.isBetweenSlices ? nil : clients[index].states.position
            // Nobody is there to be told of the end.
            _ = followers[clients[index].node].handle(.cancel(clients[index].states.id), at: at(time))
            clients[index].node = Int(random.next() % 2)
            (clients[index].states.lostAfter, clients[index].states.owesReady) = (nil, false)
            try subscribe(index, position.map { .after($0) } ?? .snapshot)
        }

        private mutating func step() throws {
            time += Int64(random.next() % 30)
            let client = Int(random.next() % 4)
            switch random.next() % 48 {
            case 0: beginEpoch(owner.epoch + 1, losing: false)
            case 1: beginEpoch(owner.epoch + 1, losing: true)
            case 2:
                // One follower gets a snapshot instead of what is on its way.
                let node = Int(random.next() % 2)
                snapshots += 1
                links[node] = [.assigned(owner.assignment), owner.snapshot(snapshots)]
            case 3, 4: try move(client)
            case 5: clients[client].states.dropsPushed.toggle()
            case 6..<16:
                if let event = clients[client].states.ready() { try handle(event, at: clients[client].node) }
            case 16..<30: try arrive(Int(random.next() % 2), Int(random.next() % 5))
            case 30..<34: restate(atMost: Int(random.next() % 4))
            default: write()
            }
        }

        mutating func settle() throws {
            restate(atMost: .max)
            for node in 0..<2 {
                try arrive(node, .max)
                try handle(.turnEnded, at: node)
            }
            for index in clients.indices {
                clients[index].states.dropsPushed = false
                while let event = clients[index].states.ready() { try handle(event, at: clients[index].node) }
            }
        }
    }
}
