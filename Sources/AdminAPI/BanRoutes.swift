import ClusterRuntime
import Hummingbird
import RegistrarEvents

/// The addresses that a frontier turns away.
struct BanRoutes: Sendable {
    let backend: AdminBackend
    let access: AdminAccess

    func add(to router: Router<AdminContext>) {
        router.get("rest/v1/bans") { try await list($0, $1) }
        router.delete("rest/v1/bans/:address") { try await lift($0, $1) }
    }

    private func list(_ request: Request, _ context: AdminContext) async throws(AdminError) -> Response {
        try await access.caller(of: request, context).require(nil)
        return Response(
            JSONWriter(array: try await bans()) { json, ban in
                json.raw(#"{"address":"#)
                json.string(ban.network)
                json.raw(#","failures":"#)
                json.unsigned(UInt64(ban.failures))
                json.raw(#","seconds":"#)
                json.unsigned(UInt64(max(0, ban.rest.milliseconds + 999) / 1000))
                json.raw("}")
            })
    }

    private func lift(_ request: Request, _ context: AdminContext) async throws(AdminError) -> Response {
        try await access.caller(of: request, context).require(nil)
        _ = try await bans()
        let network = NetworkOfAddress.text(try context.path("address"))
        guard await backend.liftBan(network) else { throw AdminError(.notFound, "\(network) is not banned here") }
        var json = JSONWriter()
        json.raw(#"{"address":"#)
        json.string(network)
        json.raw("}")
        return Response(json)
    }

    private func bans() async throws(AdminError) -> [AddressBan] {
        guard let bans = await backend.bans() else {
            throw AdminError(.notFound, "a \(backend.role.name) node has no clients; ask the nodes that have")
        }
        return bans
    }
}
