import ClusterRuntime
import Foundation
import Hummingbird
import RegistrarEvents

/// Has this node end so that whoever started it starts it again: its part of a rolling restart.
struct RestartRoutes: Sendable {
    let backend: AdminBackend
    let access: AdminAccess

    /// Largest body of an order, in bytes.
    private static let maximumBody = 4 << 10

    func add(to router: Router<AdminContext>) {
        router.post("rest/v1/node/restart") { try await restart($0, $1) }
    }

    private struct RestartBody: Decodable { let incarnation: UInt64 }

    /// The order names the life that it is for: one that is given again, or late, does nothing to the next life.
    private func restart(_ request: Request, _ context: AdminContext) async throws -> Response {
        try await access.caller(of: request, context).requireWholeCluster()
        let body = try await request.body.collect(upTo: Self.maximumBody)
        // What the decoder says names Swift types; what is wanted is shorter.
        guard let order = try? JSONDecoder().decode(RestartBody.self, from: Data(body.readableBytesView)) else {
            throw AdminError(.badRequest, #"the body is not of the form {"incarnation":NUMBER}"#)
        }
        let life = backend.node
        guard order.incarnation == life.incarnation else {
            throw AdminError(.preconditionFailed, "this is \(life), not incarnation \(order.incarnation)")
        }
        switch backend.restart() {
        case .accepted:
            var json = JSONWriter()
            json.raw(#"{"accepted":true}"#)
            return Response(json, status: .accepted)
        case .nobodyStartsItAgain:
            throw AdminError(
                .conflict,
                "nobody would start \(life.name) again: it was started neither by `rollcall up` nor by systemd, and "
                    + "not with --supervised")
        }
    }
}
