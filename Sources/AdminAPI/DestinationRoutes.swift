import ClusterRuntime
import Hummingbird
import RegistrarEvents

/// Who is told of events besides subscribers, and how far each is. For admins.
struct DestinationRoutes: Sendable {
    let backend: AdminBackend
    let access: AdminAccess

    func add(to router: Router<AdminContext>) {
        router.get("rest/v1/registrar/destinations") { try await list($0, $1) }
    }

    /// What this node itself delivers.
    private func list(_ request: Request, _ context: AdminContext) async throws -> Response {
        try await access.caller(of: request, context).require(nil)
        guard let destinations = await backend.destinations() else {
            throw AdminError(.notFound, "a \(backend.role.name) node delivers nothing; ask sr nodes")
        }
        return try Response(encoding: destinations)
    }
}
