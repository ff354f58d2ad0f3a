import ClusterRuntime
import NIOCore
import RegistrarEvents
import SIP
import SRActor
import Testing

@testable import SIPGateway

let demo = DomainName("demo.example") ?? { preconditionFailure("a valid name was refused") }()

/// One event loop's registrar and the real owner of its domain, without sockets; the clock stands still until it is
/// advanced.
struct TestRegistrar {
    private(set) var registrar: Registrar
    private(set) var owner: DomainMachine
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
            gate: AddressGate(limits: settings.limits, periods: settings.periods), counters: counters, flows: flows,
            answers: answers, life: Self.life, lane: 1)
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

    mutating func assign(epoch: UInt64 = 1) {
        let assignment = Assignment(
            domain: demo, epoch: epoch, revision: epoch, owner: Self.ownerNode, standbys: [], cause: .restart, since: 0)
        _ = owner.handle(.assigned(assignment), at: now) + owner.handle(.turnEnded, at: now)
        var out = Registrar.Outbox()
        registrar.assigned([assignment], at: now, &out)
        settle(out)
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
            _ = owner.handle(.tick, at: now)
            var out = Registrar.Outbox()
            registrar.tick(at: now, &out)
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
        while !out.answers.isEmpty || !out.requests.isEmpty {
            for (bytes, route) in out.answers {
                do { sent.append((try Answer(bytes), route)) } catch { Issue.record("sent what is no SIP: \(error)") }
            }
            let requests = out.requests.compactMap { message, _ -> Request? in
                if case .request(let request) = message { request } else { nil }
            }
            asked += requests.map(\.operation)
            out = Registrar.Outbox()
            guard !isOwnerHeld else {
                held += requests
                return
            }
            registrar.replied(carryOut(requests), from: Self.ownerNode, at: now, &out)
        }
    }

    private mutating func carryOut(_ requests: [Request]) -> [Reply] {
        var directives: [DomainMachine.Directive] = []
        for request in requests { directives += owner.handle(.request(request, from: Self.life.name), at: now) }
        directives += owner.handle(.turnEnded, at: now)
        return directives.compactMap { directive in
            if case .send(.reply(let reply), _) = directive { reply } else { nil }
        }
    }

    /// A contact that came to the owner in another way than through this registrar.
    mutating func put(_ registration: Registration, ttl: UInt32 = 600_000) throws {
        let contact = try #require(PackedContact(registration))
        let request = Request(id: .max, domain: demo, epoch: 1, operation: .register(contact, ttl: ttl))
        let replies = carryOut([request])
        guard case .registered? = replies.first?.result else {
            Issue.record("not registered: \(replies)")
            return
        }
    }
}
