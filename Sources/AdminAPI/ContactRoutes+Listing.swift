import ClusterRuntime
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import RegistrarEvents

/// The live list, as a JSON array that is written while it is read page by page from the owner.
extension ContactRoutes {
    func list(_ request: Request, _ context: AdminContext) async throws -> Response {
        let (caller, domain) = try await admit(request, context)
        var filter = try ContactFilter(request.uri)
        if let account = filter.account { try caller.require(account: account) }
        filter.visible = caller.accounts
        var listing = ContactListing(
            registrar: backend.registrar, domain: domain, filter: filter, deadline: limits.deadline)
        // Asked for first, so that a refusal is still a status.
        let first = try await listing.nextPage()
        let rest = listing
        return Response(
            status: .ok, headers: [.contentType: "application/json", .cacheControl: "no-store"],
            body: ResponseBody { [logger = context.logger] writer in
                var listing = rest
                var page = first
                do {
                    while let bytes = page {
                        try await writer.write(ByteBuffer(bytes: bytes))
                        page = try await listing.nextPage()
                    }
                } catch let error as AdminError {
                    // The status is sent already: the array stays open and the connection breaks, so nobody can
                    // take the part for the whole.
                    logger.warning("a list of \(domain) broke off: \(error.message)")
                    throw error
                }
                try await writer.finish(nil)
            })
    }
}

/// Which contacts are asked for.
struct ContactFilter: Sendable {
    var kind: AccountKind?
    var account: String?
    /// The accounts that the caller may see; nil for all.
    var visible: [String]?
    /// At most so many contacts.
    var limit = Int.max

    init(_ uri: URI) throws(AdminError) {
        for (name, value) in uri.queryParameters {
            switch name {
            case "kind": kind = try AccountKind(text: String(value))
            case "account": account = String(value)
            case "limit":
                guard let number = Int(value), number > 0 else {
                    throw AdminError(.badRequest, "limit is \(value); expected a number from 1")
                }
                limit = number
            default:
                throw AdminError(.badRequest, "there is no parameter \(name); expected kind, account or limit")
            }
        }
    }

    /// What to ask the owner for, one after the other: nil for the whole domain.
    fileprivate var accounts: [AccountID?] {
        guard let names = account.map({ [$0] }) ?? visible else { return [nil] }
        return names.flatMap { name in
            (kind.map { [$0] } ?? [.user, .sipuser]).map { AccountID($0, name) }
        }
    }
}

/// A list under way.
struct ContactListing: Sendable {
    private let registrar: any RegistrarClient
    private let domain: DomainName
    private let kind: AccountKind?
    private let deadline: Duration
    private var accounts: ArraySlice<AccountID?>
    private var remaining: Int
    private var cursor: UInt32 = 0
    private var epoch: UInt64?
    private var hasBegun = false
    private var hasEnded = false
    private var isEmpty = true

    init(registrar: any RegistrarClient, domain: DomainName, filter: ContactFilter, deadline: Duration) {
        self.registrar = registrar
        self.domain = domain
        self.deadline = deadline
        kind = filter.kind
        accounts = filter.accounts[...]
        remaining = filter.limit
    }

    /// The next part of the array; nil after the last.
    /// - Throws: when the owner refused, or another took over (its pages are not numbered alike).
    mutating func nextPage() async throws(AdminError) -> [UInt8]? {
        guard !hasEnded else { return nil }
        var json = JSONWriter(reserving: 64 << 10)
        if !hasBegun { json.raw("[") }
        hasBegun = true
        if remaining > 0, let account = accounts.first {
            let result = await registrar.perform(
                .list(cursor: cursor, account: account), on: domain, deadline: deadline)
            guard case .page(let contacts, let next, let position) = result else {
                throw .unexpected(result, domain: domain)
            }
            guard epoch == nil || epoch == position.epoch else {
                throw .tryAgain("the owner of \(domain) changed while the list was read")
            }
            epoch = position.epoch
            cursor = next
            if next == 0 { accounts = accounts.dropFirst() }
            try write(contacts, to: &json)
        }
        if accounts.isEmpty || remaining == 0 {
            json.raw("]")
            hasEnded = true
        }
        return json.bytes
    }

    private mutating func write(_ contacts: [LiveContact], to json: inout JSONWriter) throws(AdminError) {
        for contact in contacts where remaining > 0 && (kind == nil || contact.contact.kind == kind) {
            if !isEmpty { json.raw(",") }
            isEmpty = false
            remaining -= 1
            do {
                json.contact(try contact.contact.registration(), ttl: contact.ttl)
            } catch {
                throw AdminError(.badGateway, "the owner of \(domain) sent a contact that cannot be read: \(error)")
            }
        }
    }
}

extension JSONWriter {
    /// `{"kind":…,"account":…,"contact_id":…,"expires_in":…,…}` with the data of the event.
    /// - Parameter ttl: what remains, in milliseconds; shown in seconds, rounded up.
    mutating func contact(_ registration: Registration, ttl: UInt32) {
        raw(#"{"kind":"#)
        string(registration.key.account.kind.name)
        raw(#","account":"#)
        string(registration.key.account.name)
        switch registration.details {
        case .user:
            raw(#","contact_id":"#)
            string(registration.key.contact)
        case .sipuser: break  // contact_id is part of the event's data.
        }
        raw(#","expires_in":"#)
        unsigned((UInt64(ttl) + 999) / 1_000)
        raw(",")
        data(of: registration)
        raw("}")
    }
}
