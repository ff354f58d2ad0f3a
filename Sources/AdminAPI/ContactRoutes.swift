import ClusterRuntime
import HTTPTypes
import Hummingbird
import NIOCore
import RegistrarEvents

/// The live list of a domain, and changes to it by services that speak neither SIP nor websocket.
///
/// Everything goes to the domain's owner, so it works on any node, and it answers after the commit.
struct ContactRoutes: Sendable {
    let backend: AdminBackend
    let access: AdminAccess
    let limits: AdminLimits

    private static let contacts: RouterPath = "rest/v1/registrar/domains/:domain/contacts"

    func add(to router: Router<AdminContext>) {
        router.get(Self.contacts) { try await list($0, $1) }
        router.post(Self.contacts) { try await register($0, $1) }
        router.delete(Self.contacts) { try await clear($0, $1) }
        router.delete("\(Self.contacts)/:kind/:account") { try await deleteAccount($0, $1) }
        router.delete("\(Self.contacts)/:kind/:account/:contact") { try await deleteContact($0, $1) }
    }

    /// What is listed and changed here is what `registrarevents` tells.
    func admit(
        _ request: Request, _ context: AdminContext
    ) async throws(AdminError) -> (caller: Caller, domain: DomainName) {
        let admitted = try await access.admit(request, context, backend: backend)
        try admitted.caller.require(.registrarEvents)
        return admitted
    }

    // MARK: Writing

    private func register(_ request: Request, _ context: AdminContext) async throws -> Response {
        let (caller, domain) = try await admit(request, context)
        let body = try ContactRequest(json: try await self.body(of: request))
        try caller.require(account: body.account)
        let result = await backend.registrar.perform(
            .register(body.contact, ttl: body.ttl), on: domain, deadline: limits.deadline)
        guard case .registered(let position, let granted) = result else {
            throw AdminError.unexpected(result, domain: domain)
        }
        var json = JSONWriter()
        json.raw("{")
        json.position(position)
        json.raw(#","ttl":"#)
        json.unsigned(UInt64(granted) / 1_000)
        json.raw("}")
        return Response(json)
    }

    private func deleteContact(_ request: Request, _ context: AdminContext) async throws(AdminError) -> Response {
        let (caller, domain) = try await admit(request, context)
        let account = try account(context)
        try caller.require(account: account.name)
        let key = ContactKey(account.kind, account.name, try context.path("contact"))
        return try await end(.unregister(key: key.packed, reason: .deleteContact), of: domain, request)
    }

    private func deleteAccount(_ request: Request, _ context: AdminContext) async throws(AdminError) -> Response {
        let (caller, domain) = try await admit(request, context)
        let account = try account(context)
        try caller.require(account: account.name)
        return try await end(.deleteAccount(account), of: domain, request)
    }

    /// Voids the whole list: the domain's name has to be said twice, since nothing brings it back.
    private func clear(_ request: Request, _ context: AdminContext) async throws(AdminError) -> Response {
        let (caller, domain) = try await admit(request, context)
        try caller.require(account: nil)
        guard request.uri.queryParameters["confirm"].flatMap({ DomainName(String($0)) }) == domain else {
            throw AdminError(
                .badRequest, "this ends every registration of \(domain); expected ?confirm=\(domain) in the address")
        }
        return try await end(.clear, of: domain, request)
    }

    private func end(
        _ operation: ClusterRuntime.Request.Operation, of domain: DomainName, _ request: Request
    ) async throws(AdminError) -> Response {
        // An empty last part would otherwise turn the end of one contact into the end of all.
        guard !request.uri.path.hasSuffix("/") else {
            throw AdminError(.badRequest, "the path ends in an empty part; expected a name, or no slash at the end")
        }
        let result = await backend.registrar.perform(operation, on: domain, deadline: limits.deadline)
        guard case .unregistered(let position, let count) = result else {
            throw AdminError.unexpected(result, domain: domain)
        }
        var json = JSONWriter()
        json.raw("{")
        json.position(position)
        json.raw(#","count":"#)
        json.unsigned(UInt64(count))
        json.raw("}")
        return Response(json)
    }

    // MARK: Reading what was sent

    private func body(of request: Request) async throws -> [UInt8] {
        let tooLarge = AdminError(.contentTooLarge, "the body is larger than \(limits.bodyBytes) bytes")
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > limits.bodyBytes {
            throw tooLarge
        }
        do {
            return Array(buffer: try await request.body.collect(upTo: limits.bodyBytes))
        } catch is NIOTooManyBytesError {
            throw tooLarge
        }
    }

    private func account(_ context: AdminContext) throws(AdminError) -> AccountID {
        AccountID(try AccountKind(text: try context.path("kind")), try context.path("account"))
    }
}

extension AccountKind {
    init(text: String) throws(AdminError) {
        guard let kind = AccountKind(name: text) else {
            throw AdminError(.badRequest, "the kind of account is \(text); expected user or sipuser")
        }
        self = kind
    }
}
