import ClusterRuntime
import RegistrarEvents

/// What a SIP account wants of its contacts in one REGISTER. No change at all means that every contact is to go.
struct DeviceWish: Hashable {
    struct Change: Hashable {
        let contact: String
        /// In milliseconds; nil when the contact is to go.
        let ttl: UInt32?
    }

    let domain: DomainName
    let account: String
    let changes: [Change]
}

/// SIP devices register through `sg` nodes: changes of an account's contacts that happen together or not at all. An
/// account sends one REGISTER after the other, in one call with a rising CSeq, and keeps to one gateway.
extension World {
    private static let answersPromise = "answers tell the truth"
    private static let contacts = (0..<3).map { "c\($0)" }

    mutating func planDevices() {
        if options.gateways > 0 { queue.add(.devices, at: now + .seconds(2)) }
    }

    /// Starts a REGISTER and plans the next.
    mutating func registerDevices() {
        guard isLoaded else { return }
        queue.add(.devices, at: now + deviceChance.microseconds(1...(4_000_000 / options.requestsPerSecond)))
        let number = Int.random(in: 0..<max(3, options.accounts / 2), using: &deviceChance)
        let domain = domains[Int.random(in: 0..<domains.count, using: &deviceChance)]
        let isShort = deviceChance.chance(options.shortLived)
        let ttl: UInt32 = isShort ? UInt32.random(in: 1_000...4_000, using: &deviceChance) : 600_000
        let picked = Self.contacts.shuffled(using: &deviceChance)
        let changes: [DeviceWish.Change] =
            switch Int.random(in: 0..<20, using: &deviceChance) {
            case 0: []
            case 1..<5: [.init(contact: picked[0], ttl: nil)]
            case 5..<7: [.init(contact: picked[0], ttl: ttl), .init(contact: picked[1], ttl: nil)]
            case 7..<10: [.init(contact: picked[0], ttl: ttl), .init(contact: picked[1], ttl: ttl)]
            default: [.init(contact: picked[0], ttl: ttl)]
            }
        let wish = DeviceWish(domain: domain, account: "d\(number)", changes: changes)
        bind(wish, through: gateways[number % gateways.count])
    }

    /// - Returns: false when the account's last REGISTER is still under way, or nobody listens at the gateway.
    @discardableResult
    mutating func bind(_ wish: DeviceWish, through gateway: NodeName) -> Bool {
        guard nodes[gateway]!.isRunning, busy.insert(Self.account(of: wish)).inserted else { return false }
        record(.bind(wish, through: gateway))
        queue.add(.step(gateway, .bind(wish)), at: now)
        return true
    }

    mutating func start(_ wish: DeviceWish, at name: NodeName) {
        operations += 1
        let account = Self.account(of: wish)
        deviceContacts[account, default: []].formUnion(wish.changes.map(\.contact))
        // `Contact: *` is about all that it may have.
        let all = deviceContacts[account, default: []].sorted().map { DeviceWish.Change(contact: $0, ttl: nil) }
        let changes = wish.changes.isEmpty ? all : wish.changes
        let concerned = changes.map { change in
            ClientOperation(
                number: operations, domain: wish.domain, key: ContactKey(.sipuser, wish.account, change.contact),
                kind: change.ttl.map { .register(ttl: $0) } ?? .unregister, started: now,
                mark: Notification.Mark(device: "", request: "call-\(wish.account) \(operations)"), isAlone: false)
        }
        call(.bind(binding(wish)), on: wish.domain, Gateway.Call(operations: concerned, wish: wish), at: name)
    }

    /// The number of the operation is the CSeq: it rises in every call.
    private func binding(_ wish: DeviceWish) -> Binding {
        let (callID, cseq) = ("call-\(wish.account)", UInt32(operations))
        let changes = wish.changes.map { change -> Binding.Change in
            guard let ttl = change.ttl else {
                return .remove(key: ContactKey(.sipuser, wish.account, change.contact).packed)
            }
            let registration = Registration(
                account: wish.account, contact: change.contact, sipuser: SIPUserDetails(callID: callID, cseq: cseq))
            guard let contact = PackedContact(registration) else { preconditionFailure("\(wish) is within its limits") }
            return .put(contact, ttl: ttl)
        }
        return Binding(account: wish.account, callID: callID, cseq: cseq, changes: changes)
    }

    /// The answer lists what the account has: what it put, what it knows to have besides, and nothing that it knows
    /// gone.
    mutating func compare(_ contacts: [LiveContact], asOf position: Position, with wish: DeviceWish) {
        let listed = Set(contacts.compactMap { Self.key($0.contact)?.contact })
        for contact in deviceContacts[Self.account(of: wish), default: []].sorted() {
            let id = History.ContactID(domain: wish.domain, key: ContactKey(.sipuser, wish.account, contact))
            guard let known = history.knowledge[id], !known.isUncertain, known.endedAt < position else { continue }
            if known.isRegistered, now + history.tolerance < known.expiresNotBefore, !listed.contains(contact) {
                history.violate(Self.answersPromise, "\(id.domain) \(id.key) is not in the answer to its account")
            }
            // After the domain's removal a copy of a request that was under way may have put it there again.
            if !known.isRegistered, known.endedAt < known.position, listed.contains(contact) {
                history.violate(Self.answersPromise, "\(id.domain) \(id.key) is in the answer though it was removed")
            }
        }
    }

    /// Stands for all of an account's contacts.
    static func account(of wish: DeviceWish) -> History.ContactID {
        History.ContactID(domain: wish.domain, key: ContactKey(.sipuser, wish.account, ""))
    }
}
