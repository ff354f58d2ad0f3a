import ClusterRuntime
import Hummingbird
import RegistrarEvents

/// Who is told of events besides subscribers, and how far each is. For admins.
struct DestinationRoutes: Sendable {
    let backend: AdminBackend
    let access: AdminAccess

    func add(to router: Router<AdminContext>) {
        router.get("rest/v1/registrar/destinations") { try await list($0, $1) }
        router.post("rest/v1/registrar/destinations/:destination/resume") { try await resume($0, $1) }
    }

    /// What this node itself delivers.
    private func list(_ request: Request, _ context: AdminContext) async throws -> Response {
        try await access.caller(of: request, context).require(nil)
        return try Response(encoding: try await destinations())
    }

    /// 202: what follows from it shows in the list.
    private func resume(_ request: Request, _ context: AdminContext) async throws -> Response {
        try await access.caller(of: request, context).require(nil)
        _ = try await destinations()
        let name = try context.path("destination")
        guard await backend.resume(name) else { throw AdminError(.notFound, "there is no destination \(name)") }
        var json = JSONWriter()
        json.raw(#"{"accepted":true}"#)
        return Response(json, status: .accepted)
    }

    private func destinations() async throws(AdminError) -> [DestinationStatus] {
        guard let destinations = await backend.destinations() else {
            throw AdminError(.notFound, "a \(backend.role.name) node delivers nothing; ask sr nodes")
        }
        return destinations
    }
}
