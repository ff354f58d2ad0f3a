import ClusterRuntime
import RegistrarEvents
import Testing

@testable import WSSubscrActor

/// Whatever happens in whatever order: who applies what it is sent ends with the owner's list.
struct FollowerPropertyTests {
    @Test(arguments: 0..<60) func everySubscriberEndsWithTheOwnersList(_ seed: UInt64) throws {
        var world = World(seed: seed)
        try world.run(steps: 300)
        try world.settle()
        for client in world.clients {
            #expect(client.set == Set(world.owner.live.keys), "seed \(seed), client \(client.id)")
            try world.checkOrder(client)
        }
    }

    private struct World {
        var follower: Follower
        var owner = Owner()
        var clients = (1...4).map { Client(UInt32($0)) }
        var random: SplitMix64
        var snapshots: UInt64 = 0
        var time: Int64 = 0

        init(seed: UInt64) {
            random = SplitMix64(seed: seed)
            var settings = FollowerSettings()
            settings.ringEntries = 40
            settings.sliceBytes = 1_500
            settings.snapshotSharing = .milliseconds(50)
            follower = Follower(domain: demo, settings: settings)
        }

        mutating func handle(_ event: Follower.Event) throws {
            let directives = follower.handle(event, at: at(time))
            for index in clients.indices { try clients[index].take(directives) }
        }

        func change(_ choice: UInt64) -> LogEntry.Change {
            let name = "u\(choice % 23)"
            let isThere = owner.live["user/\(name)/c1"] != nil
            return isThere && choice % 3 == 0
                ? .unregistered(contact(name), .expiredContact) : .registered(contact(name), ttl: 60_000, replay: false)
        }

        mutating func run(steps: Int) throws {
            for event in owner.beginEpoch(1, .restart) { try handle(event) }
            for client in clients {
                let start: SubscribeRequest.Start = client.id.number % 2 == 0 ? .snapshot : .after(.start)
                try handle(
                    .subscribe(
                        SubscribeRequest(id: client.id, matcher: .everything, expires: .seconds(9999), start: start)))
            }
            for _ in 0..<steps { try step() }
        }

        private mutating func step() throws {
            time += Int64(random.next() % 30)
            let client = Int(random.next() % 4)
            switch random.next() % 40 {
            case 0: for event in owner.beginEpoch(owner.epoch + 1) { try handle(event) }
            case 1:
                // A gap: the follower gets a snapshot instead of the log.
                for _ in 0..<5 { _ = owner.append([change(random.next())]) }
                snapshots += 1
                try handle(owner.snapshot(snapshots))
            case 2:
                try handle(
                    .subscribe(
                        SubscribeRequest(
                            id: clients[client].id, matcher: .everything, expires: .seconds(9999), start: .snapshot)))
                if clients[client].lostAfter != nil { clients[client].lostAfter = .start }
            case 3..<6: clients[client].dropsPushed.toggle()
            case 6..<16:
                if let event = clients[client].ready() { try handle(event) }
            case 16..<26: try handle(.turnEnded)
            default:
                let count = 1 + random.next() % 6
                for _ in 0..<count { try handle(owner.append([change(random.next())])) }
            }
        }

        mutating func settle() throws {
            try handle(.turnEnded)
            for index in clients.indices {
                clients[index].dropsPushed = false
                while let event = clients[index].ready() { try handle(event) }
            }
        }

        /// Between clears of its own, a subscriber sees the log without gaps.
        func checkOrder(_ client: Client) throws {
            var last: Position?
            for notification in client.seen {
                let position = notification.position
                defer { last = position }
                guard let last, notification.type != "clear" else { continue }
                let isNext = position == Position(epoch: last.epoch, seq: last.seq + 1)
                let isOfSnapshot = position == last && notification.isReplay
                #expect(isNext || isOfSnapshot, "\(position) after \(last)")
            }
        }
    }
}
