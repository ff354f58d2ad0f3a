import ClusterRuntime
import RegistrarEvents

/// Clients register and unregister through `wssubscr` nodes, one request at a time per contact; and how a request of
/// theirs, or of SIP devices, comes to its owner.
extension World {
    private static let requestDeadline = Duration.seconds(6)

    mutating func planWorkload() {
        queue.add(.workload, at: now + .seconds(2))
        if options.storm > 0 { queue.add(.storm, at: now + .seconds(3)) }
    }

    mutating func planLooks() {
        if options.lull > 0 { queue.add(.look, at: now + .seconds(2)) }
    }

    /// Starts a request and plans the next.
    mutating func work() {
        guard isLoaded else { return }
        queue.add(
            .workload,
            at: now + random.microseconds(1...(2_000_000 / options.requestsPerSecond)))
        if !isLull { ask() }
    }

    /// Whether nobody asks for anything: all but the first second and a half of each stretch of time.
    var isLull: Bool {
        guard options.lull > 0 else { return false }
        let stretch = Int64(options.lull) * 1_000 + 1_500
        return (now - Self.beginning).milliseconds % stretch > 1_500
    }

    /// Many at once, every second.
    mutating func rush() {
        guard isLoaded else { return }
        queue.add(.storm, at: now + .seconds(1))
        for _ in 0..<(isLull ? 0 : options.storm) { ask() }
    }

    private mutating func ask() {
        var account = Int.random(in: 0..<options.accounts, using: &random)
        var device = Int.random(in: 0...1, using: &random)
        var domain = domains[Int.random(in: 0..<domains.count, using: &random)]
        if options.heat > 0.5, clocks.chance(options.heat) { domain = domains[0] }
        if options.flapping > 0, clocks.chance(options.flapping) { (account, device) = (0, 0) }
        let key = ContactKey(account % 2 == 0 ? .sipuser : .user, "u\(account)", "c\(device)")
        let isShort = random.chance(options.shortLived)
        let kind: ClientOperation.Kind =
            random.chance(0.7)
            ? .register(ttl: isShort ? UInt32.random(in: 1_000...4_000, using: &random) : 600_000) : .unregister
        // Each contact keeps to one gateway, as a connection does.
        ask(Wish(domain: domain, key: key, kind: kind), through: followers[account % followers.count])
    }

    /// - Returns: false when the contact's last request is still under way, since they come one at a time, or nobody
    ///   listens at the gateway.
    @discardableResult
    mutating func ask(_ wish: Wish, through gateway: NodeName) -> Bool {
        guard nodes[gateway]!.isRunning,
            busy.insert(History.ContactID(domain: wish.domain, key: wish.key)).inserted
        else { return false }
        record(.ask(wish, through: gateway))
        operations += 1
        let operation = ClientOperation(
            number: operations, domain: wish.domain, key: wish.key, kind: wish.kind, started: now)
        queue.add(.step(gateway, .start(operation)), at: now)
        return true
    }

    mutating func start(_ operation: ClientOperation, at name: NodeName) {
        var operation = operation
        let request: Request.Operation
        switch operation.kind {
        case .register(let ttl):
            let contact = Self.contact(operation)
            operation.mark = Notification.mark(contact)
            request = .register(contact, ttl: ttl)
        case .unregister: request = .unregister(key: operation.key.packed, reason: .unregisterContact)
        }
        call(request, on: operation.domain, Gateway.Call(operations: [operation]), at: name)
    }

    private static func contact(_ operation: ClientOperation) -> PackedContact {
        let key = operation.key
        // The operation's number makes every registration's bytes its own.
        let registration =
            switch key.account.kind {
            case .user:
                Registration(
                    account: key.account.name, contact: key.contact,
                    user: UserDetails(sessionID: "\(operation.number)"))
            case .sipuser:
                Registration(
                    account: key.account.name, contact: key.contact,
                    sipuser: SIPUserDetails(
                        userAgent: "\(operation.number / 4)", callID: "\(operation.number)"))
            }
        guard let contact = PackedContact(registration) else { preconditionFailure("\(key) is within its limits") }
        return contact
    }

    /// A cluster that has settled takes writes, through every gateway, for every domain; and then settles again.
    mutating func proveService() {
        guard isSettled else { return }
        var asked: [History.ContactID: NodeName] = [:]
        for domain in domains {
            for name in followers where nodes[name]!.isRunning {
                let key = ContactKey(.user, "last-\(name)", "c")
                if ask(Wish(domain: domain, key: key, kind: .register(ttl: 600_000)), through: name) {
                    asked[.init(domain: domain, key: key)] = name
                }
            }
            for name in gateways where nodes[name]!.isRunning {
                let wish = DeviceWish(
                    domain: domain, account: "last-\(name)", changes: [.init(contact: "c", ttl: 600_000)])
                if bind(wish, through: name) {
                    asked[.init(domain: domain, key: ContactKey(.sipuser, wish.account, "c"))] = name
                }
            }
        }
        let limit = now + Self.requestDeadline + .seconds(4)
        while !isSettled, now < limit { run(until: now + .milliseconds(250)) }
        for (contact, name) in asked.sorted(by: { $0.key.key < $1.key.key })
        where history.knowledge[contact].map({ $0.isUncertain || !$0.isRegistered }) ?? true {
            history.violate("it settles", "\(contact.domain) took no registration through \(name)")
        }
    }

    // MARK: The gateway

    mutating func call(_ request: Request.Operation, on domain: DomainName, _ call: Gateway.Call, at name: NodeName) {
        let node = nodes[name]!
        guard let id = node.gateway?.nextID else { preconditionFailure("\(name) is no gateway") }
        for operation in call.operations { history.begin(operation) }
        node.gateway?.nextID += 1
        node.gateway?.calls[id] = call
        step(.perform(id: id, request, on: domain, deadline: Self.requestDeadline), of: node)
    }

    /// - Parameter sender: of replies.
    mutating func step(_ event: RequestMachine.Event, of node: SimulatedNode, from sender: NodeID? = nil) {
        guard let directives = node.gateway?.machine.handle(event, at: moment(of: node.name)) else { return }
        for directive in directives {
            switch directive {
            case .send(let request, let owner, _): send(.request(request), from: node.name, to: owner)
            case .finish(let id, let result): finish(id, result, by: sender ?? node.life, at: node)
            }
        }
    }

    private mutating func finish(
        _ id: UInt64, _ result: Reply.Result, by owner: NodeID, at node: SimulatedNode
    ) {
        guard let call = node.gateway?.calls.removeValue(forKey: id) else { return }
        free(call)
        let position: Position
        switch result {
        case .refused(let refusal):
            let account = call.wish?.account ?? call.operations.first.map { "\($0.key)" } ?? ""
            trace.note(now, "\(account) through \(node.name) was refused: \(refusal)")
            for operation in call.operations { history.giveUp(operation) }
            return
        case .registered(let at, _), .unregistered(let at, _), .bound(let at, _), .page(_, _, let at): position = at
        }
        for operation in call.operations {
            history.acknowledge(.init(operation: operation, position: position, by: owner, received: now))
        }
        if case .bound(_, let contacts) = result, let wish = call.wish { compare(contacts, asOf: position, with: wish) }
    }

    /// The node's process has ended as somebody was about to ask.
    mutating func hangUp(_ step: Step) {
        switch step {
        case .start(let operation): busy.remove(.init(domain: operation.domain, key: operation.key))
        case .bind(let wish): busy.remove(Self.account(of: wish))
        default: break
        }
    }

    private mutating func free(_ call: Gateway.Call) {
        if let wish = call.wish {
            busy.remove(Self.account(of: wish))
        } else {
            for operation in call.operations { busy.remove(.init(domain: operation.domain, key: operation.key)) }
        }
    }

    /// The process ends: nobody will know how its requests went.
    mutating func abandonCalls(of name: NodeName) {
        for (_, call) in (nodes[name]!.gateway?.calls ?? [:]).sorted(by: { $0.key < $1.key }) {
            free(call)
            for operation in call.operations { history.giveUp(operation) }
        }
        nodes[name]!.gateway?.calls = [:]
    }
}
