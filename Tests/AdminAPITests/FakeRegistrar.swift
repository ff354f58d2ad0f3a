import ClusterRuntime
import RegistrarEvents

/// One domain's list in memory, with the answers of an owner: enough of a registrar to serve the address with.
actor FakeRegistrar: RegistrarClient {
    static let pageSize = 3

    private(set) var performed: [Request.Operation] = []
    private var contacts: [LiveContact] = []
    private var position = Position(epoch: 3, seq: 1)
    private var answer: Reply.Result?
    private var pagesUntilOwnerChange = Int.max

    /// Answers everything with this from now on.
    func always(_ result: Reply.Result?) { answer = result }

    /// Lets a contact be there.
    func put(_ kind: AccountKind, _ account: String, _ contact: String, userAgent: String = "") {
        let registration =
            switch kind {
            case .user: Registration(account: account, contact: contact, user: UserDetails())
            case .sipuser:
                Registration(account: account, contact: contact, sipuser: SIPUserDetails(userAgent: userAgent))
            }
        guard let packed = PackedContact(registration) else { preconditionFailure("\(registration) is too long") }
        contacts.append(LiveContact(contact: packed, ttl: 60_000))
    }

    func changeOwner(afterPages pages: Int) { pagesUntilOwnerChange = pages }

    func perform(_ operation: Request.Operation, on domain: DomainName, deadline: Duration) async -> Reply.Result {
        performed.append(operation)
        if let answer { return answer }
        switch operation {
        case .register(let contact, let ttl):
            contacts.removeAll { $0.contact.keyBytes == contact.keyBytes }
            contacts.append(LiveContact(contact: contact, ttl: ttl))
            position.seq += 1
            return .registered(position, ttl: ttl)
        case .unregister(let key, _): return end { Array($0.contact.keyBytes) == key }
        case .deleteAccount(let account): return end { $0.contact.keyBytes.starts(with: account.packedPrefix) }
        case .clear: return end { _ in true }
        case .bind: return .refused(.unavailable)
        case .list(let cursor, let account): return page(Int(cursor), account)
        }
    }

    private func end(_ isMeant: (LiveContact) -> Bool) -> Reply.Result {
        let before = contacts.count
        contacts.removeAll(where: isMeant)
        position.seq += UInt64(before - contacts.count)
        return .unregistered(position, count: UInt32(before - contacts.count))
    }

    private func page(_ cursor: Int, _ account: AccountID?) -> Reply.Result {
        if let account {
            let own = contacts.filter { $0.contact.keyBytes.starts(with: account.packedPrefix) }
            return .page(own, next: 0, position: position)
        }
        if pagesUntilOwnerChange == 0 { position = Position(epoch: position.epoch + 1, seq: 1) }
        pagesUntilOwnerChange -= 1
        let end = min(cursor + Self.pageSize, contacts.count)
        return .page(
            Array(contacts[min(cursor, end)..<end]), next: end < contacts.count ? UInt32(end) : 0, position: position)
    }
}
