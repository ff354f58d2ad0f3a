import ClusterRuntime
import Foundation
import HTTPTypes
import Hummingbird
public import RegistrarEvents

/// What a temporary GRUU stands for, as far as it can be told without asking the domain's owner.
public struct GRUUTarget: Sendable {
    public var account: String
    /// Whether a contact of the account is of the device.
    public var includes: @Sendable (SIPUserDetails) -> Bool
    /// Whether the GRUU still means anything, given the device's live contacts.
    public var isLive: @Sendable ([SIPUserDetails]) -> Bool

    public init(
        account: String, includes: @escaping @Sendable (SIPUserDetails) -> Bool,
        isLive: @escaping @Sendable ([SIPUserDetails]) -> Bool
    ) {
        self.account = account
        self.includes = includes
        self.isLive = isLive
    }
}

/// Where a GRUU leads: what a proxy asks before it forwards a request to one (RFC 5627 section 5.4).
struct GRUURoutes: Sendable {
    let backend: AdminBackend
    let access: AdminAccess
    let limits: AdminLimits

    func add(to router: Router<AdminContext>) {
        router.get("rest/v1/registrar/domains/:domain/gruu/:gruu") { try await resolve($0, $1) }
    }

    private func resolve(_ request: Request, _ context: AdminContext) async throws -> Response {
        let (caller, domain) = try await access.admit(request, context, backend: backend)
        try caller.require(.registrarEvents)
        let target = try await target(of: try context.path("gruu"), request, domain, for: caller)
        let contacts = try await contacts(of: target, domain)
        let details = contacts.map(\.details)
        guard !details.isEmpty, target.isLive(details) else {
            throw AdminError(.notFound, "the device is not registered, or has made this address void")
        }
        var json = JSONWriter()
        json.raw(#"{"account":"#)
        json.string(target.account)
        json.raw(#","instance_id":"#)
        json.string(details[0].instanceID)
        json.raw(#","contacts":["#)
        for (index, contact) in contacts.enumerated() {
            if index > 0 { json.raw(",") }
            json.contact(contact.registration, ttl: contact.ttl)
        }
        json.raw("]}")
        return Response(json)
    }

    /// - Parameter gruu: the user part of a temporary GRUU, or the `gr` of a public one, whose user part is `account`.
    private func target(
        of gruu: String, _ request: Request, _ domain: DomainName, for caller: Caller
    ) async throws(AdminError) -> GRUUTarget {
        if let account = request.uri.queryParameters["account"] {
            try caller.require(account: String(account))
            // As it stands in the address, escaped, or as the device said it.
            let device = gruu.removingPercentEncoding ?? gruu
            return GRUUTarget(
                account: String(account), includes: { $0.instanceID == gruu || $0.instanceID == device },
                isLive: { _ in true })
        }
        guard let temporaryGRUU = backend.temporaryGRUU else {
            throw AdminError(.notFound, "temporary GRUUs are known at sg nodes; a public one needs ?account=")
        }
        // Whose it is says nothing of itself, and so is not told to those who may not see the account.
        guard let target = temporaryGRUU(gruu, domain), caller.sees(account: target.account) else {
            throw AdminError(.notFound, "no temporary GRUU of \(domain); a public one needs ?account=")
        }
        return target
    }

    private struct Contact {
        let registration: Registration
        let details: SIPUserDetails
        let ttl: UInt32
    }

    private func contacts(of target: GRUUTarget, _ domain: DomainName) async throws(AdminError) -> [Contact] {
        var found: [Contact] = []
        var cursor: UInt32 = 0
        repeat {
            let result = await backend.registrar.perform(
                .list(cursor: cursor, account: AccountID(.sipuser, target.account)), on: domain,
                deadline: limits.deadline)
            guard case .page(let page, let next, _) = result else {
                throw AdminError.unexpected(result, domain: domain)
            }
            for live in page {
                // What cannot be read is no contact of a device.
                guard let registration = try? live.contact.registration(),
                    case .sipuser(let details) = registration.details, target.includes(details)
                else { continue }
                found.append(Contact(registration: registration, details: details, ttl: live.ttl))
            }
            cursor = next
        } while cursor != 0
        return found
    }
}
