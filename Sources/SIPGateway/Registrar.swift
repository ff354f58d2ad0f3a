import ClusterRuntime
import RegistrarEvents
import SIP

/// One event loop's registrar: reads requests, has the owners of domains carry them out, and answers.
///
/// What it decides: whether a message is a request, new, repeated or malformed; who may ask for what; and what the
/// answer says. A REGISTER *waits* from when its owner is asked until the owner's reply, or the deadline.
///
/// Invariants:
/// - A request that waits is answered exactly once, a repetition of it not at all until then, and with the same answer
///   afterwards.
/// - A 200 to a REGISTER leaves only with the owner's word that the change is committed.
///
/// - One that *leaves* takes on nothing new: whoever asks repeats the request, or connects again, and is answered by
///   another node or the node's next life. What waits is still answered.
///
/// What it does not know: sockets, and why an owner refuses.
struct Registrar {
    /// What is to be sent, in order. The shell empties it.
    struct Outbox {
        var answers: [(bytes: [UInt8], route: Route)] = []
        var requests: [(message: Message, peer: NodeName)] = []
        /// Connections, by number, over which a registration or a subscription was granted.
        var granted: [UInt64] = []
        /// For the watchers of a domain.
        var watches: [WatchRequest] = []
        var notifyAnswers: [(answer: NotifyAnswer, domain: DomainName)] = []
    }

    /// A REGISTER whose owner was asked.
    struct Waiting {
        let request: IncomingRequest
        let register: RegisterRequest
        var stage = Stage.binding
    }

    var settings: SIPSettings
    /// Nil when anybody may register anything.
    let authenticator: Authenticator?
    let gate: AddressGate
    let counters: SIPCounters
    let flows: FlowBook
    let answers: ProbeAnswers
    /// The event loop's number.
    let lane: Int
    /// The port of the loop's datagram socket.
    var datagramPort: Int?
    var probing = Probing()
    var requests: RequestMachine
    var transactions: TransactionTable
    var waiting: [UInt64: Waiting] = [:]
    var waitingByDomain: [DomainName: Int] = [:]
    /// Requests that the watchers of domains have not answered yet.
    var watchesWaiting = 0
    /// Of which domains somebody watches or has watched over an open connection of the loop, by its number.
    var watchedOver: [UInt64: Set<DomainName>] = [:]
    /// Domains that the topology had before. Their phones go on for a while, and are no nuisance.
    private var formerDomains: Set<DomainName> = []
    private static let maximumFormerDomains = 10_000
    /// Whether it leaves.
    var isLeaving = false
    var random: SplitMix64
    private var nextID: UInt64

    /// - Parameter lane: the event loop's number from 1 to 7, which becomes part of the ids of its requests.
    init(
        settings: SIPSettings, authenticator: Authenticator?, gate: AddressGate, counters: SIPCounters,
        flows: FlowBook = FlowBook(), answers: ProbeAnswers = ProbeAnswers(), life: NodeID, lane: Int
    ) {
        self.settings = settings
        self.authenticator = authenticator
        self.gate = gate
        self.counters = counters
        self.flows = flows
        self.answers = answers
        self.lane = lane
        requests = RequestMachine(seed: life.incarnation &+ UInt64(lane))
        transactions = TransactionTable(maximumBytes: settings.transactionBytes)
        random = SplitMix64(seed: life.incarnation ^ UInt64(lane))
        nextID = RequestID.first(of: lane, life)
    }

    /// The domains of the topology have changed.
    mutating func serve(_ domains: [DomainName: DomainSpec]) {
        let gone = Set(settings.domains.keys).subtracting(domains.keys)
        formerDomains.formUnion(gone)
        if formerDomains.count > Self.maximumFormerDomains { formerDomains = gone }
        formerDomains.subtract(domains.keys)
        settings.domains = domains
    }

    // MARK: What happens

    /// Responses are listened to wherever they come from: somebody here asked for them, and they are not answered.
    mutating func received(_ bytes: [UInt8], from route: Route, at now: Moment, _ out: inout Outbox) {
        let admission = SIPMessage.isResponse(bytes) ? .everything : gate.admission(of: route.peer, at: now.monotonic)
        guard admission != .nothing else { return counters.banned.count() }
        let limits = SIPLimits(messageBytes: settings.messageBytes)
        let message: SIPMessage
        do throws(SIPParseError) {
            message = try SIPMessage.parse(bytes, limits: limits)
        } catch {
            guard admission == .everything else { return counters.banned.count() }
            counters.malformed.count()
            gate.annoyed(by: route.peer, at: now.monotonic)
            guard let salvaged = SIPMessage.salvage(bytes, limits: limits) else { return }
            return refuseMalformed(salvaged, error, route, &out)
        }
        guard message.method != nil else { return response(message, at: now, &out) }
        let essentials: SIPEssentials
        do throws(SIPParseError) {
            essentials = try message.essentials()
        } catch {
            guard admission == .everything else { return counters.banned.count() }
            counters.malformed.count()
            gate.annoyed(by: route.peer, at: now.monotonic)
            return refuseMalformed(message, error, route, &out)
        }
        guard admission == .everything || isOfKnownAccount(essentials, route.peer) else {
            return counters.banned.count()
        }
        request(IncomingRequest(message: message, essentials: essentials, route: route), at: now, &out)
    }

    private func isOfKnownAccount(_ essentials: SIPEssentials, _ peer: SIPPeer) -> Bool {
        let uri = essentials.to.uri
        guard let account = uri.decodedUser, let domain = DomainName(uri.host.string) else { return false }
        return gate.knows(account, of: domain, peer)
    }

    /// What a request asks for is not here.
    func notFound(_ request: IncomingRequest, at now: Moment) {
        // Of a target that cannot be read nothing is known.
        if let target = try? target(of: request.message), let domain = DomainName(target.host.string),
            formerDomains.contains(domain)
        {
            return
        }
        gate.annoyed(by: request.route.peer, at: now.monotonic)
    }

    /// Whether anything of the peer is looked at. What is not is counted.
    func admits(_ peer: SIPPeer, at now: Moment) -> Bool {
        let isAdmitted = gate.admission(of: peer, at: now.monotonic) != .nothing
        if !isAdmitted { counters.banned.count() }
        return isAdmitted
    }

    mutating func replied(_ replies: [Reply], from node: NodeID, at now: Moment, _ out: inout Outbox) {
        perform(requests.handle(.replied(replies, from: node), at: now), at: now, &out)
    }

    mutating func assigned(_ assignments: [Assignment], at now: Moment, _ out: inout Outbox) {
        perform(requests.handle(.assigned(assignments), at: now), at: now, &out)
    }

    mutating func tick(at now: Moment, _ out: inout Outbox) {
        transactions.forget(at: now.monotonic)
        searchOn(at: now, &out)
        guard requests.pendingCount > 0 else { return }
        perform(requests.handle(.tick, at: now), at: now, &out)
    }

    /// How soon it wants to be told that time went by; nil when there is nothing that time could do.
    var nextTick: Duration? {
        if requests.pendingCount > 0 { return RequestMachine.tickPeriod }
        if !probing.searches.isEmpty { return DeviceProbe.tickPeriod }
        return transactions.count > 0 ? .seconds(1) : nil
    }

    /// Requests that are to be answered yet.
    var underWay: Int { waiting.count + probing.searches.count + watchesWaiting }

    // MARK: The owner

    /// Asks the domain's owner for what a REGISTER wants.
    mutating func ask(_ waiting: Waiting, at now: Moment, _ out: inout Outbox) {
        let domain = waiting.register.domain
        guard waitingByDomain[domain, default: 0] < settings.waitingPerDomain else {
            endSearch(for: waiting)
            return answer(waiting, refusal: .unavailable(after: retryAfter()), at: now, &out)
        }
        let id = nextID
        nextID += 1
        self.waiting[id] = waiting
        waitingByDomain[domain, default: 0] += 1
        let event = RequestMachine.Event.perform(
            id: id, waiting.operation, on: domain, deadline: settings.periods.requestDeadline)
        perform(requests.handle(event, at: now), at: now, &out)
    }

    private mutating func perform(_ directives: [RequestMachine.Directive], at now: Moment, _ out: inout Outbox) {
        for directive in directives {
            switch directive {
            case .send(let request, let peer, _): out.requests.append((.request(request), peer))
            case .finish(let id, let result): finish(id, result, at: now, &out)
            }
        }
    }

    private mutating func finish(_ id: UInt64, _ result: Reply.Result, at now: Moment, _ out: inout Outbox) {
        guard let waiting = waiting.removeValue(forKey: id) else { return }
        waitingByDomain[waiting.register.domain, default: 1] -= 1
        guard waiting.stage == .binding else { return searched(waiting, result, at: now, &out) }
        switch result {
        case .bound(_, let contacts), .page(let contacts, _, _): accept(waiting, contacts, at: now, &out)
        case .refused(.tooManyDevices(let limit)): lookForRoom(for: waiting, limit: limit, at: now, &out)
        case .refused(let refusal): answer(waiting, refusal: sipRefusal(refusal), at: now, &out)
        case .registered, .unregistered: preconditionFailure("a binding was answered with \(result)")
        }
    }

    mutating func sipRefusal(_ refusal: Refusal) -> SIPRefusal {
        switch refusal {
        case .notOwner, .unavailable, .overloaded, .domainFull: .unavailable(after: retryAfter())
        case .intervalTooBrief(let minimum): .intervalTooBrief(minimum: Int64(minimum + 999) / 1_000)
        case .tooManyDevices(let limit): .tooManyDevices(limit)
        // RFC 3261 sections 10.3 and 12.2.2.
        case .outOfOrder: SIPRefusal(status: 500, reason: "Server Internal Error (CSeq is lower than one before)")
        }
    }

    /// Seconds after which to come back: spread, so that those who are turned away together do not return together.
    mutating func retryAfter() -> Int { Int.random(in: 1...5, using: &random) }
}

/// Ids of requests tell which lane of a node's gateway, or that its request router, made them.
///
/// The router's are incarnations in milliseconds, shifted by 20 bits, which leaves the three highest bits free until
/// the year 2039; a lane's number stands in them.
enum RequestID {
    static func first(of lane: Int, _ life: NodeID) -> UInt64 {
        precondition((1...7).contains(lane), "lane \(lane); expected 1 to 7")
        return UInt64(lane) << 61 | (life.incarnation << 20 & (1 << 61 - 1)) | 1
    }

    /// 0 for the router.
    static func lane(of id: UInt64) -> Int { Int(id >> 61) }
}
