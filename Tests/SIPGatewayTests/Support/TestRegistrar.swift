import ClusterRuntime
import NIOCore
import RegistrarEvents
import SIP
import SRActor
import Testing

@testable import SIPGateway

let demo = DomainName("demo.example") ?? { preconditionFailure("a valid name was refused") }()

/// One event loop's registrar, the watchers and the real owner of its domain, without sockets; the clock stands still
/// until it is advanced.
struct TestRegistrar {
    private(set) var registrar: Registrar
    private(set) var watchers: Watchers
    private(set) var owner: DomainMachine
    private var ownerNode = Self.ownerNode
    private var epoch: UInt64 = 0
    /// Whether the owner hears nobody and says nothing.
    var isOwnerDown = false
    let counters = SIPCounters()
    let flows = FlowBook()
    let answers = ProbeAnswers()
    private(set) var milliseconds: Int64 = 1_000_000_000
    /// Requests that the owner has not been given, while it is held.
    private(set) var held: [Request] = []
    var isOwnerHeld = false
    /// Everything that was sent to devices since the last call that gives it, and where to.
    private(set) var sent: [(answer: Answer, route: Route)] = []
    private(set) var asked: [Request.Operation] = []

    static let ownerNode = NodeID(name: NodeName("sr1"), incarnation: 1)
    static let life = NodeID(name: NodeName("sg1"), incarnation: 1_700_000_000_000)

    /// - Parameter directory: nil when anybody may register anything.
    init(
        directory: (any AccountDirectory)? = nil, devices: UInt32 = 10, minimumExpires: Duration = .seconds(60),
        isOwned: Bool = true, change: (inout SIPSettings) -> Void = { _ in }
    ) throws {
        let other = try #require(DomainName("other.example"))
        var settings = SIPSettings(
            host: "192.0.2.100", listen: SIPListen(udp: 5060, tcp: 5060, isOpen: directory == nil), threads: 1,
            limits: Limits(), periods: Periods(),
            domains: [
                DomainSpec(name: demo, minimumExpires: minimumExpires, maximumExpires: .seconds(3_600)),
                DomainSpec(name: other),
            ])
        change(&settings)
        registrar = Registrar(
            settings: settings, authenticator: directory.map { Authenticator(directory: $0) },
            gate: AddressGate(
                limits: settings.limits, periods: settings.periods, shared: settings.listen.sharedNetworks),
            counters: counters, flows: flows, answers: answers, life: Self.life, lane: 1)
        watchers = Watchers(domain: demo, settings: WatcherSettings(settings), counters: counters, seed: 1)
        let policy = DomainPolicy(
            minimumTTL: UInt32(minimumExpires.milliseconds), maximumDevices: devices, acceptsWithoutLease: true)
        owner = DomainMachine(domain: demo, node: Self.ownerNode, policy: policy)
        if isOwned { assign() }
    }

    var now: Moment {
        Moment(
            monotonic: MonotonicInstant(nanoseconds: milliseconds * 1_000_000), wall: 1_700_000_000_000 + milliseconds)
    }

    static func route(_ address: String = "192.0.2.1", _ port: Int = 5060) throws -> Route {
        let socket = try SocketAddress(ipAddress: address, port: port)
        return Route(way: .datagram(socket), peer: SIPPeer(.udp, socket))
    }

    static func stream(_ number: UInt64, _ address: String = "192.0.2.1", _ port: Int = 40_000) throws -> Route {
        Route(way: .stream(number), peer: SIPPeer(.tcp, try SocketAddress(ipAddress: address, port: port)))
    }

    /// Contacts that the owner has.
    var registered: Int { owner.replica.table.count }

    // MARK: What happens

    mutating func leave() { registrar.isLeaving = true }

    /// The topology has these domains now.
    mutating func serve(_ domains: [DomainName]) {
        registrar.serve(Dictionary(uniqueKeysWithValues: domains.map { ($0, DomainSpec(name: $0)) }))
    }

    mutating func assign(epoch: UInt64 = 1) {
        self.epoch = epoch
        let assignment = Assignment(
            domain: demo, epoch: epoch, revision: epoch, owner: ownerNode, standbys: [], cause: cause(epoch), since: 0)
        var out = Registrar.Outbox()
        registrar.assigned([assignment], at: now, &out)
        watch([.assigned(assignment)] + ownerEvents([.assigned(assignment)]), &out)
        settle(out)
    }

    private func cause(_ epoch: UInt64) -> ClearReason { epoch == 1 ? .restart : .failover }

    /// The owner is lost, and a standby with this copy takes its place in the next epoch.
    mutating func failover(to replica: DomainReplica) {
        ownerNode = NodeID(name: NodeName("sr\(epoch + 1)"), incarnation: 1)
        owner = DomainMachine(domain: demo, node: ownerNode, policy: owner.policy, replica: replica)
        isOwnerDown = false
        assign(epoch: epoch + 1)
    }

    /// What the node's other parts tell the watchers.
    mutating func tellWatchers(_ event: Watchers.Event) -> [(answer: Answer, route: Route)] {
        var out = Registrar.Outbox()
        watch([event], &out)
        settle(out)
        return takeSent()
    }

    /// - Returns: everything that it caused to be sent, until nothing is under way.
    @discardableResult
    mutating func receive(_ text: String, from route: Route? = nil) throws -> [Answer] {
        try receive([UInt8](text.utf8), from: route)
    }

    @discardableResult
    mutating func receive(_ bytes: [UInt8], from route: Route? = nil) throws -> [Answer] {
        var out = Registrar.Outbox()
        registrar.received(bytes, from: try route ?? Self.route(), at: now, &out)
        settle(out)
        return takeSent().map(\.answer)
    }

    /// The one answer to a request.
    mutating func answer(_ text: String, from route: Route? = nil) throws -> Answer {
        let answers = try receive(text, from: route)
        try #require(answers.count == 1, "\(answers.count) answers to \(text)")
        return answers[0]
    }

    /// The owner's, or somebody else's, reply to what is held.
    @discardableResult
    mutating func reply(_ result: Reply.Result, from node: NodeID = ownerNode) throws -> [Answer] {
        let replies = held.map { Reply(id: $0.id, result: result) }
        held = []
        var out = Registrar.Outbox()
        registrar.replied(replies, from: node, at: now, &out)
        settle(out)
        return takeSent().map(\.answer)
    }

    /// Time goes by in steps of 25 ms.
    @discardableResult
    mutating func advance(_ duration: Duration) -> [(answer: Answer, route: Route)] {
        let end = milliseconds + duration.milliseconds
        while milliseconds < end {
            milliseconds = min(milliseconds + 25, end)
            var out = Registrar.Outbox()
            registrar.tick(at: now, &out)
            watch([.tick] + ownerEvents([.tick]), &out)
            settle(out)
        }
        return takeSent()
    }

    mutating func takeSent() -> [(answer: Answer, route: Route)] {
        defer { sent = [] }
        return sent
    }

    private mutating func settle(_ first: Registrar.Outbox) {
        var out = first
        while !out.isEmpty {
            for (bytes, route) in out.answers { note(bytes, route) }
            let requests = out.requests.compactMap { message, _ -> Request? in
                if case .request(let request) = message { request } else { nil }
            }
            let handedOver =
                out.watches.map(Watchers.Event.subscribe) + out.notifyAnswers.map { .answered($0.answer) }
            asked += requests.map(\.operation)
            out = Registrar.Outbox()
            if isOwnerHeld {
                held += requests
            } else if !requests.isEmpty {
                let (replies, told) = carryOut(requests)
                registrar.replied(replies, from: ownerNode, at: now, &out)
                watch(told, &out)
            }
            watch(handedOver, &out)
        }
    }

    private mutating func note(_ bytes: [UInt8], _ route: Route) {
        do { sent.append((try Answer(bytes), route)) } catch { Issue.record("sent what is no SIP: \(error)") }
    }

    private mutating func carryOut(_ requests: [Request]) -> (replies: [Reply], told: [Watchers.Event]) {
        let directives = ownerDirectives(requests.map { .request($0, from: Self.life.name) })
        let replies = directives.compactMap { directive in
            if case .send(.reply(let reply), _) = directive { reply } else { nil }
        }
        return (replies, told(directives))
    }

    private mutating func ownerDirectives(_ events: [DomainMachine.Event]) -> [DomainMachine.Directive] {
        guard !isOwnerDown else { return [] }
        var directives: [DomainMachine.Directive] = []
        for event in events { directives += owner.handle(event, at: now) }
        return directives + owner.handle(.turnEnded, at: now) + owner.handle(.stored, at: now)
    }

    /// What the owner tells its followers about these events.
    private mutating func ownerEvents(_ events: [DomainMachine.Event]) -> [Watchers.Event] {
        told(ownerDirectives(events))
    }

    private func told(_ directives: [DomainMachine.Directive]) -> [Watchers.Event] {
        directives.compactMap { directive in
            switch directive {
            case .send(.append(let append), _): .append(append, from: ownerNode)
            case .send(.chunk(let chunk), _): .chunk(chunk, from: ownerNode)
            default: nil
            }
        }
    }

    /// Lets the watchers handle events, and the owner what they say to it, until nobody has anything to say.
    private mutating func watch(_ first: [Watchers.Event], _ out: inout Registrar.Outbox) {
        var events = first
        while !events.isEmpty {
            var directives: [Watchers.Directive] = []
            for event in events { directives += watchers.handle(event, at: now) }
            directives += watchers.handle(.turnEnded, at: now)
            events = []
            for directive in directives {
                switch directive {
                case .send(.follow(let follow), _): events += ownerEvents([.follow(follow, from: Self.life)])
                case .send(let message, _): Issue.record("watchers sent \(message)")
                case .answer(let watch, let answer): registrar.watched(watch, answer, at: now, &out)
                case .notify(let bytes, let way):
                    for (bytes, route) in out.answers { note(bytes, route) }
                    out.answers = []
                    note(bytes, way.route)
                case .alarm(let text): Issue.record("alarm: \(text)")
                }
            }
        }
    }

    /// A contact that came to the owner in another way than through this registrar.
    mutating func put(_ registration: Registration, ttl: UInt32 = 600_000) throws {
        let contact = try #require(PackedContact(registration))
        let request = Request(id: .max, domain: demo, epoch: epoch, operation: .register(contact, ttl: ttl))
        let (replies, told) = carryOut([request])
        guard case .registered? = replies.first?.result else {
            Issue.record("not registered: \(replies)")
            return
        }
        var out = Registrar.Outbox()
        watch(told, &out)
        settle(out)
    }

    /// A contact that the server ends.
    mutating func end(_ account: String, _ contact: String) {
        let request = Request(
            id: .max - 1, domain: demo, epoch: epoch,
            operation: .unregister(key: ContactKey(.sipuser, account, contact).packed, reason: .deleteContact))
        endBy(request)
    }

    /// All contacts of an account that is removed.
    mutating func endAll(of account: String) {
        let operation = Request.Operation.deleteAccount(AccountID(.sipuser, account))
        endBy(Request(id: .max - 2, domain: demo, epoch: epoch, operation: operation))
    }

    private mutating func endBy(_ request: Request) {
        var out = Registrar.Outbox()
        watch(carryOut([request]).told, &out)
        settle(out)
    }
}

extension Registrar.Outbox {
    fileprivate var isEmpty: Bool {
        answers.isEmpty && requests.isEmpty && watches.isEmpty && notifyAnswers.isEmpty
    }
}
