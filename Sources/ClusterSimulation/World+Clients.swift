import ClusterRuntime
import RegistrarEvents

/// Clients register and unregister through the gateways of the `wssubscr` nodes, one request at a time per contact.
extension World {
    private static let requestDeadline = Duration.seconds(6)
    private static let retryAfter = Duration.milliseconds(250)

    mutating func planWorkload() {
        queue.add(.workload, at: now + .seconds(2))
        if options.storm > 0 { queue.add(.storm, at: now + .seconds(3)) }
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
    private var isLull: Bool {
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
            number: operations, domain: wish.domain, key: wish.key, kind: wish.kind, started: now,
            deadline: now + Self.requestDeadline)
        queue.add(.step(gateway, .start(operation)), at: now)
        return true
    }

    mutating func start(_ operation: ClientOperation, at name: NodeName) {
        let node = nodes[name]!
        let id = node.gateway.nextID
        node.gateway.nextID += 1
        history.begin(operation)
        node.gateway.pending[id] = GatewayTwin.Pending(operation: operation)
        attempt(id, at: name)
    }

    private mutating func attempt(_ id: UInt64, at name: NodeName) {
        let node = nodes[name]!
        guard let pending = node.gateway.pending[id],
            let assignment = node.agent.table[pending.operation.domain], let owner = assignment.owner
        else { return }
        node.gateway.pending[id]?.lastSent = now
        let operation = pending.operation
        let request: Request.Operation
        switch operation.kind {
        case .register(let ttl):
            request = .register(Self.contact(operation), ttl: ttl)
        case .unregister: request = .unregister(key: operation.key.packed, reason: .unregisterContact)
        }
        send(
            .request(Request(id: id, domain: operation.domain, epoch: assignment.epoch, operation: request)),
            from: name, to: owner.name)
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
                    sipuser: SIPUserDetails(callID: "\(operation.number)"))
            }
        guard let contact = PackedContact(registration) else { preconditionFailure("\(key) is within its limits") }
        return contact
    }

    mutating func take(_ reply: Reply, from sender: NodeID, at name: NodeName) {
        let node = nodes[name]!
        guard let pending = node.gateway.pending[reply.id] else { return }
        let position: Position
        switch reply.result {
        case .refused(let refusal):
            guard refusal.isTransient else {
                finish(reply.id, at: name)
                history.giveUp(pending.operation)
                return
            }
            // Soon, and by what is known of the owner then.
            node.gateway.pending[reply.id]?.lastSent = now - Self.retryAfter + .milliseconds(50)
            return
        case .registered(let at, _), .unregistered(let at, _), .bound(let at, _), .page(_, _, let at): position = at
        }
        finish(reply.id, at: name)
        history.acknowledge(
            .init(operation: pending.operation, position: position, by: sender.name, received: now))
    }

    mutating func finish(_ id: UInt64, at name: NodeName) {
        guard let pending = nodes[name]!.gateway.pending.removeValue(forKey: id) else { return }
        busy.remove(.init(domain: pending.operation.domain, key: pending.operation.key))
    }

    /// Tries again what was not answered, and gives up what is over its deadline.
    mutating func resend(at name: NodeName) {
        for (id, pending) in nodes[name]!.gateway.pending.sorted(by: { $0.key < $1.key }) {
            if now >= pending.operation.deadline {
                trace.note(now, "client: no answer to request \(id) through \(name)")
                finish(id, at: name)
                history.giveUp(pending.operation)
            } else if now - pending.lastSent >= Self.retryAfter {
                attempt(id, at: name)
            }
        }
    }

    /// The process ends: nobody will know how its requests went.
    mutating func abandonRequests(of name: NodeName) {
        for (id, pending) in nodes[name]!.gateway.pending.sorted(by: { $0.key < $1.key }) {
            finish(id, at: name)
            history.giveUp(pending.operation)
        }
    }
}
