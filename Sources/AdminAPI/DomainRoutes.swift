import ClusterRuntime
import HTTPTypes
import Hummingbird
import RegistrarEvents

/// The domains, and who serves them.
struct DomainRoutes: Sendable {
    let backend: AdminBackend
    let access: AdminAccess
    let limits: AdminLimits

    func add(to router: Router<AdminContext>) {
        router.get("rest/v1/registrar/domains") { try await list($0, $1) }
        router.get("rest/v1/registrar/domains/:domain") { try await one($0, $1) }
        router.get("rest/v1/cluster/domains/:domain/changes") { try await changes($0, $1) }
    }

    /// All domains that the caller may see, as far as this node knows them.
    private func list(_ request: Request, _ context: AdminContext) async throws(AdminError) -> Response {
        let caller = try await access.caller(of: request, context)
        var json = JSONWriter()
        json.raw("[")
        var isFirst = true
        for domain in await backend.domains().sorted()
        where caller.sees(domain) {
            if !isFirst { json.raw(",") }
            isFirst = false
            json.raw("{")
            json.assignment(await backend.assignment(domain), of: domain)
            json.raw("}")
        }
        json.raw("]")
        return Response(json)
    }

    /// One domain, with the position that its owner is at.
    private func one(_ request: Request, _ context: AdminContext) async throws(AdminError) -> Response {
        let domain = try await access.domain(of: request, context, backend: backend)
        // No account has an empty name, so this page is empty and comes with the position.
        let result = await backend.registrar.perform(
            .list(cursor: 0, account: AccountID(.user, "")), on: domain, deadline: limits.positionDeadline)
        var json = JSONWriter()
        json.raw("{")
        json.assignment(await backend.assignment(domain), of: domain)
        json.raw(#","position":"#)
        if case .page(_, _, let position) = result {
            json.raw("{")
            json.position(position)
            json.raw("}")
        } else {
            json.raw("null")
        }
        json.raw("}")
        return Response(json)
    }

    /// The last changes of owner with their timings, as far as this router decided them.
    private func changes(_ request: Request, _ context: AdminContext) async throws -> Response {
        let domain = try await access.domain(of: request, context, backend: backend)
        guard let changes = await backend.ownerChanges(domain) else {
            throw AdminError(.notFound, "only routers know of changes of owner; ask each of them")
        }
        return try Response(encoding: changes)
    }
}

extension AdminAccess {
    /// The domain that the path names.
    /// - Throws: 401 and 403 first, so that nobody learns of domains that are none of theirs; then 400 and 404.
    func domain(
        of request: Request, _ context: AdminContext, backend: AdminBackend
    ) async throws(AdminError) -> DomainName {
        try await admit(request, context, backend: backend).domain
    }

    /// The same, and who asks, for what does not concern all of them alike.
    func admit(
        _ request: Request, _ context: AdminContext, backend: AdminBackend
    ) async throws(AdminError) -> (caller: Caller, domain: DomainName) {
        let caller = try await caller(of: request, context)
        let text = try context.path("domain")
        guard let domain = DomainName(text) else {
            throw AdminError(.badRequest, "\(text) is no domain name; expected one such as demo.example")
        }
        try caller.require(domain)
        guard await backend.domains().contains(domain) else {
            throw AdminError(.notFound, "there is no domain \(domain)")
        }
        return (caller, domain)
    }
}

extension JSONWriter {
    /// `"epoch":…,"seq":…`.
    mutating func position(_ position: Position) {
        raw(#""epoch":"#)
        unsigned(position.epoch)
        raw(#","seq":"#)
        unsigned(position.seq)
    }

    /// The members of a domain's object, without braces.
    fileprivate mutating func assignment(_ assignment: Assignment?, of domain: DomainName) {
        raw(#""name":"#)
        string(domain.rawValue)
        raw(#","epoch":"#)
        unsigned(assignment?.epoch ?? 0)
        raw(#","owner":"#)
        optional(assignment?.owner?.name.rawValue)
        raw(#","standbys":"#)
        raw(
            JSONWriter(array: assignment?.standbys ?? []) { json, standby in
                json.raw(#"{"name":"#)
                json.string(standby.node.name.rawValue)
                json.raw(#","in_sync":"#)
                json.boolean(standby.inSync)
                json.raw("}")
            }.bytes)
        raw(#","since":"#)
        date(milliseconds: assignment?.since ?? 0)
        raw(#","cause":"#)
        optional(assignment?.cause.name)
    }
}
