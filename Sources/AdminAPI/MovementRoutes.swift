import ClusterRuntime
import Foundation
import HTTPTypes
import Hummingbird
import RegistrarEvents

/// Planned movement, ordered of the active router, and why domains are where they are.
struct MovementRoutes: Sendable {
    let backend: AdminBackend
    let access: AdminAccess

    /// Largest body of an order, in bytes.
    private static let maximumBody = 4 << 10

    func add(to router: Router<AdminContext>) {
        router.post("rest/v1/cluster/nodes/:node/drain") { request, context in
            try await give(request, context) { try .drain(NodeName(context.path("node"))) }
        }
        router.delete("rest/v1/cluster/nodes/:node/drain") { request, context in
            try await give(request, context) { try .undrain(NodeName(context.path("node"))) }
        }
        router.post("rest/v1/cluster/domains/:domain/move") { try await move($0, $1) }
        router.get("rest/v1/cluster/domains/:domain/explanation") { try await explain($0, $1) }
    }

    private func move(_ request: Request, _ context: AdminContext) async throws -> Response {
        try await access.caller(of: request, context).requireWholeCluster()
        let domain = try await access.domain(of: request, context, backend: backend)
        let body = try await request.body.collect(upTo: Self.maximumBody)
        // What the decoder says names Swift types; what is wanted is shorter.
        guard let order = try? JSONDecoder().decode(MoveBody.self, from: Data(body.readableBytesView)) else {
            throw AdminError(.badRequest, #"the body is not of the form {"node":"NAME"}"#)
        }
        return try await give(request, context) { .move(domain, to: NodeName(order.node)) }
    }

    private struct MoveBody: Decodable { let node: String }

    /// 202 once the order is stored: what follows from it shows in the cluster's status.
    /// - Parameter order: read once it is known who asks.
    private func give(
        _ request: Request, _ context: AdminContext, _ order: () throws -> MovementOrder
    ) async throws -> Response {
        try await access.caller(of: request, context).requireWholeCluster()
        switch await backend.order(try order()) {
        case .accepted:
            var json = JSONWriter()
            json.raw(#"{"accepted":true}"#)
            return Response(json, status: .accepted)
        case .unknown(let what): throw AdminError(.notFound, what)
        case .refused(let why): throw AdminError(.conflict, why)
        case .tooManyWaiting: throw AdminError.tryAgain("too many orders wait to be stored")
        case .notLeading:
            guard case .elsewhere(let leader?) = await backend.status() else {
                throw AdminError.tryAgain("no router leads at the moment; the order was not taken")
            }
            throw AdminError.elsewhere(leader, request)
        }
    }

    private func explain(_ request: Request, _ context: AdminContext) async throws -> Response {
        let domain = try await access.domain(of: request, context, backend: backend)
        if let explanation = await backend.explanation(domain) { return try Response(encoding: explanation) }
        guard case .elsewhere(let leader?) = await backend.status() else {
            throw AdminError.tryAgain("no router leads at the moment")
        }
        throw AdminError.elsewhere(leader, request)
    }
}
