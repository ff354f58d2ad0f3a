import ClusterRuntime
import Dispatch
import Filtering
import HTTPTypes
import Hummingbird
import RegistrarEvents
import Synchronization

/// Which accounts can be reached: `sipuser_states` and `user_states`.
///
/// The accounts are those of the directory, and those that have a contact without being in it. Who is online is asked
/// of the domain's owner; lists at a node that follows the domain are made from its copy.
struct StateRoutes: Sendable {
    let backend: AdminBackend
    let access: AdminAccess
    let limits: AdminLimits
    private let underWay = Counted()
    /// Makes lists, one at a time: a million names take seconds, in which the threads that all tasks share are needed.
    private let queue = DispatchQueue(label: "state-lists", qos: .utility)

    init(backend: AdminBackend, access: AdminAccess, limits: AdminLimits) {
        self.backend = backend
        self.access = access
        self.limits = limits
    }

    func add(to router: Router<AdminContext>) {
        for kind in AccountKind.allCases {
            router.get(RouterPath(kind.statesPath)) { try await list(kind, $0, $1) }
            router.get(RouterPath("\(kind.statesPath)/:id")) { try await one(kind, $0, $1) }
        }
        // A user's connection is ended by its client; it would be registered again at its next renewal.
        router.delete(RouterPath("\(AccountKind.sipuser.statesPath)/:id")) { try await clear($0, $1) }
    }

    /// Who asks, and for the domain that `?domain=` names, or else the token's, or else the only one there is.
    private func admit(
        _ request: Request, _ context: AdminContext
    ) async throws(AdminError) -> (caller: Caller, domain: DomainName) {
        let caller = try await access.caller(of: request, context)
        let domains = await backend.domains()
        let domain: DomainName
        if let text = request.uri.queryParameters["domain"] {
            guard let named = DomainName(String(text)) else {
                throw AdminError(.badRequest, "\(text) is no domain name; expected one such as demo.example")
            }
            domain = named
        } else if let only = caller.onlyDomain ?? (domains.count == 1 ? domains.first : nil) {
            domain = only
        } else {
            throw AdminError(.badRequest, "of which domain is not said; expected ?domain= in the address")
        }
        try caller.require(domain)
        try caller.require(.modelEvents)
        guard domains.contains(domain) else { throw AdminError(.notFound, "there is no domain \(domain)") }
        return (caller, domain)
    }

    // MARK: One account

    private func one(_ kind: AccountKind, _ request: Request, _ context: AdminContext) async throws -> Response {
        let (caller, domain) = try await admit(request, context)
        let mask = try StateQuery(request.uri, allowing: ["mask"]).list.mask
        let account = AccountID(kind, try context.path("id"))
        try caller.require(account: account.name)
        let state = AccountState(account, isOnline: try await isOnline(account, domain))
        if !state.isOnline { try await requireAccount(account, domain) }
        var json = JSONWriter()
        json.state(state, keeping: mask)
        return Response(json)
    }

    private func requireAccount(_ account: AccountID, _ domain: DomainName) async throws {
        switch try await directory().presence(domain, account) {
        case .present: return
        case .absent: throw AdminError(.notFound, "there is no \(account.kind.name) \(account.name) in \(domain)")
        case .unavailable: throw AdminError.tryAgain("the accounts cannot be read at the moment")
        }
    }

    private func isOnline(_ account: AccountID, _ domain: DomainName) async throws(AdminError) -> Bool {
        let result = await backend.registrar.perform(
            .list(cursor: 0, account: account), on: domain, deadline: limits.deadline)
        guard case .page(let contacts, _, _) = result else { throw .unexpected(result, domain: domain) }
        return !contacts.isEmpty
    }

    private func clear(_ request: Request, _ context: AdminContext) async throws -> Response {
        let (caller, domain) = try await admit(request, context)
        _ = try StateQuery(request.uri, allowing: [])
        let account = AccountID(.sipuser, try context.path("id"))
        try caller.require(account: account.name)
        let result = await backend.registrar.perform(.deleteAccount(account), on: domain, deadline: limits.deadline)
        guard case .unregistered(_, let count) = result else { throw AdminError.unexpected(result, domain: domain) }
        if count == 0 { try await requireAccount(account, domain) }
        return Response(status: .noContent, headers: [.cacheControl: "no-store"])
    }

    // MARK: Lists

    private func list(_ kind: AccountKind, _ request: Request, _ context: AdminContext) async throws -> Response {
        let (caller, domain) = try await admit(request, context)
        let query = try StateQuery(request.uri, allowing: StateQuery.all).list
        do {
            _ = try ListSelection<AccountState>(query)
        } catch {
            throw AdminError(.badRequest, error.message)
        }
        guard underWay.begin(atMost: limits.stateLists) else {
            throw AdminError.tryAgain("\(limits.stateLists) lists of states are being made")
        }
        defer { underWay.end() }
        let online = try await online(kind, domain)
        let directory = try await directory()
        return Response(
            try await onQueue { () throws(AdminError) in
                let listing = StateListing(online: online.names, directory: directory, domain: domain, kind: kind)
                return try Self.json(listing, query) { caller.sees(account: $0) }
            })
    }

    private func onQueue<Result: Sendable>(
        _ body: @escaping @Sendable () throws(AdminError) -> Result
    ) async throws(AdminError) -> Result {
        let result: Swift.Result<Result, AdminError> = await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: Swift.Result { () throws(AdminError) in try body() }) }
        }
        return try result.get()
    }

    private static func json(
        _ listing: StateListing, _ query: ListQuery<StateProperty>, sees: (String) -> Bool
    ) throws(AdminError) -> JSONWriter {
        var selection: ListSelection<AccountState>
        do {
            selection = try ListSelection(query)
        } catch {
            throw AdminError(.badRequest, error.message)
        }
        var listing = listing
        while let state = try listing.next() {
            if sees(state.account.name), !selection.take(state) { break }
        }
        var json = JSONWriter(reserving: 64 << 10)
        json.raw("[")
        for (index, state) in selection.result.enumerated() {
            if index > 0 { json.raw(",") }
            json.state(state, keeping: query.mask)
        }
        json.raw("]")
        return json
    }

    /// The accounts that have a contact, as they were found.
    private enum Online: Sendable {
        /// A contact of each.
        case contacts([PackedContact])
        case names(Set<String>)

        /// In order.
        var names: [String] {
            switch self {
            case .contacts(let contacts):
                // Unreadable ones raised an alarm where they came from.
                contacts.compactMap { (try? $0.key())?.account.name }.sorted { $0.bytesPrecede($1) }
            case .names(let names): names.sorted { $0.bytesPrecede($1) }
            }
        }
    }

    private func online(_ kind: AccountKind, _ domain: DomainName) async throws(AdminError) -> Online {
        if let contacts = await backend.onlineAccounts(domain, kind) { return .contacts(contacts) }
        var names: Set<String> = []
        var cursor: UInt32 = 0
        var epoch: UInt64?
        repeat {
            let result = await backend.registrar.perform(
                .list(cursor: cursor, account: nil), on: domain, deadline: limits.deadline)
            guard case .page(let contacts, let next, let position) = result else {
                throw .unexpected(result, domain: domain)
            }
            // Another owner's pages are not numbered alike: accounts that are online would be in none of them.
            guard epoch == nil || epoch == position.epoch else {
                throw .tryAgain("the owner of \(domain) changed while the list was read")
            }
            epoch = position.epoch
            for live in contacts where live.contact.kind == kind {
                // Unreadable ones raised an alarm where they came from.
                if let key = try? live.contact.key() { names.insert(key.account.name) }
            }
            cursor = next
        } while cursor != 0
        return .names(names)
    }

    private func directory() async throws(AdminError) -> any AccountDirectory {
        do throws(DirectoryError) {
            return try await backend.accounts()
        } catch {
            throw .tryAgain("this node cannot read the accounts: \(error)")
        }
    }
}

/// How many are under way.
private final class Counted: Sendable {
    private let count = Mutex(0)

    func begin(atMost limit: Int) -> Bool {
        count.withLock { count in
            guard count < limit else { return false }
            count += 1
            return true
        }
    }

    func end() { count.withLock { $0 -= 1 } }
}
