import ClusterRuntime
import Foundation
import HTTPTypes
import Hummingbird
import RegistrarEvents

/// The topology that the cluster goes by: the active router shows it, and activates another one.
struct TopologyRoutes: Sendable {
    let backend: AdminBackend
    let access: AdminAccess

    private static let path: RouterPath = "rest/v1/cluster/topology"
    /// Largest body, in bytes: the largest topology with every character of it escaped, within reason.
    private static let maximumBody = 2 * ActiveTopology.maximumBytes + (64 << 10)

    func add(to router: Router<AdminContext>) {
        router.get(Self.path) { try await show($0, $1) }
        router.put(Self.path) { try await activate($0, $1) }
        router.post("rest/v1/cluster/topology/preview") { try await preview($0, $1) }
    }

    private struct Document: Encodable {
        let version: UInt64
        let since: Int64
        let text: String
    }

    /// It may hold secrets of destinations, so it is for admins alone.
    private func show(_ request: Request, _ context: AdminContext) async throws -> Response {
        try await access.caller(of: request, context).requireWholeCluster()
        guard let active = await backend.topology() else { throw await elsewhere(request) }
        if let known = request.uri.queryParameters["after"].flatMap({ UInt64($0) }), active.version <= known {
            return Response(status: .noContent)
        }
        return try Response(encoding: Document(version: active.version, since: active.since, text: active.text))
    }

    private struct Body: Decodable {
        let text: String
        /// The version that it is to follow.
        let after: UInt64
    }

    /// 202 once it is stored: nodes are told, and take it up, after that.
    private func activate(_ request: Request, _ context: AdminContext) async throws -> Response {
        try await access.caller(of: request, context).requireWholeCluster()
        let bytes = try await request.body.collect(upTo: Self.maximumBody)
        // What the decoder says names Swift types; what is wanted is shorter.
        guard let body = try? JSONDecoder().decode(Body.self, from: Data(bytes.readableBytesView)),
            body.after < UInt64.max
        else {
            throw AdminError(
                .badRequest, #"the body is not of the form {"text":"the topology file","after":VERSION}"#)
        }
        switch await backend.activate(body.text, body.after) {
        case .invalid(let reasons): throw AdminError(.unprocessableContent, reasons.joined(separator: "\n"))
        case .answered(.accepted):
            var json = JSONWriter()
            json.raw(#"{"accepted":true,"version":"#)
            json.unsigned(body.after + 1)
            json.raw("}")
            return Response(json, status: .accepted)
        case .answered(.unknown(let why)), .answered(.refused(let why)): throw AdminError(.conflict, why)
        case .answered(.tooManyWaiting): throw AdminError.tryAgain("another topology is being activated")
        case .answered(.notLeading): throw await elsewhere(request)
        }
    }

    private struct PreviewBody: Decodable { let text: String }

    private func preview(_ request: Request, _ context: AdminContext) async throws -> Response {
        try await access.caller(of: request, context).requireWholeCluster()
        let bytes = try await request.body.collect(upTo: Self.maximumBody)
        // What the decoder says names Swift types; what is wanted is shorter.
        guard let body = try? JSONDecoder().decode(PreviewBody.self, from: Data(bytes.readableBytesView)) else {
            throw AdminError(.badRequest, #"the body is not of the form {"text":"the topology file"}"#)
        }
        switch await backend.preview(body.text) {
        case .invalid(let reasons): throw AdminError(.unprocessableContent, reasons.joined(separator: "\n"))
        case .movements(let movements): return try Response(encoding: movements)
        case .notLeading: throw await elsewhere(request)
        }
    }

    private func elsewhere(_ request: Request) async -> AdminError {
        guard case .elsewhere(let leader?) = await backend.status() else {
            return .tryAgain("no router leads at the moment")
        }
        return .elsewhere(leader, request)
    }
}
