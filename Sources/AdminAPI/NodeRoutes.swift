import ClusterRuntime
import Foundation
import HTTPTypes
import Hummingbird
import RegistrarEvents

/// This node, and the cluster as the routers see it.
struct NodeRoutes: Sendable {
    let backend: AdminBackend
    let access: AdminAccess

    func add(to router: Router<AdminContext>) {
        router.get("health") { _, _ in await health() }
        router.get("metrics") { try await metrics($0, $1) }
        router.get("rest/v1/master/nodes") { try await nodes($0, $1) }
        router.get("rest/v1/cluster/status") { try await status($0, $1) }
        router.get("rest/v1/registrar/verify") { try await verify($0, $1) }
    }

    /// For load balancers and supervisors: 200, or 503 with the reasons.
    private func health() async -> Response {
        let problems = await backend.problems()
        var json = JSONWriter()
        json.raw(#"{"node":"#)
        json.string(backend.node.name.rawValue)
        json.raw(#","role":"#)
        json.string(backend.role.name)
        json.raw(#","healthy":"#)
        json.boolean(problems.isEmpty)
        json.raw(#","reasons":"#)
        json.strings(problems)
        json.raw("}")
        return Response(json, status: problems.isEmpty ? .ok : .serviceUnavailable)
    }

    private func metrics(_ request: Request, _ context: AdminContext) async throws(AdminError) -> Response {
        try await access.caller(of: request, context).require(nil)
        return Response(
            status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: await backend.metrics())))
    }

    private func status(_ request: Request, _ context: AdminContext) async throws -> Response {
        try await access.caller(of: request, context).require(nil)
        return try await withStatus(request) { try Response(encoding: $0) }
    }

    /// The platform's view of the nodes; `dtStart` in ISO 8601.
    private func nodes(_ request: Request, _ context: AdminContext) async throws -> Response {
        try await access.caller(of: request, context).require(nil)
        return try await withStatus(request) { status in
            Response(
                JSONWriter(array: status.nodes) { json, node in
                    json.raw(#"{"name":"#)
                    json.string(node.name)
                    json.raw(#","site":"#)
                    json.string(node.site)
                    json.raw(#","server":"#)
                    json.string(node.server)
                    json.raw(#","roles":"#)
                    json.strings(node.roles)
                    json.raw(#","status":"#)
                    json.string(node.status.rawValue)
                    json.raw(#","dtStart":"#)
                    json.date(milliseconds: Int64(clamping: node.incarnation))
                    json.raw(#","upTimeSec":"#)
                    json.unsigned(node.uptimeSeconds)
                    json.raw("}")
                })
        }
    }

    /// What this node itself holds, so that all copies can be compared.
    private func verify(_ request: Request, _ context: AdminContext) async throws(AdminError) -> Response {
        let caller = try await access.caller(of: request, context)
        try caller.require(.registrarEvents)
        try caller.require(account: nil)
        guard let copies = await backend.copies() else {
            throw AdminError(.notFound, "a \(backend.role.name) node holds no copies; ask sr and wssubscr nodes")
        }
        let visible = copies.filter { caller.sees($0.report.domain) }
        return Response(
            JSONWriter(array: visible.sorted { $0.report.domain < $1.report.domain }) { json, copy in
                json.copy(copy)
            })
    }

    /// Answers on the active router; elsewhere sends the caller there.
    private func withStatus(
        _ request: Request, _ answer: (ClusterStatus) throws -> Response
    ) async throws -> Response {
        switch await backend.status() {
        case .here(let status): return try answer(status)
        case .elsewhere(nil): throw AdminError.tryAgain("this node knows of no active router at the moment")
        case .elsewhere(let leader?): throw AdminError.elsewhere(leader, request)
        }
    }
}

extension JSONWriter {
    fileprivate mutating func copy(_ copy: HeldCopy) {
        let report = copy.report
        raw(#"{"domain":"#)
        string(report.domain.rawValue)
        raw(#","role":"#)
        string(copy.role.rawValue)
        raw(#","epoch":"#)
        unsigned(report.position.epoch)
        raw(#","seq":"#)
        unsigned(report.position.seq)
        raw(#","complete":"#)
        boolean(report.complete)
        raw(#","contacts":{"user":"#)
        unsigned(report.users)
        raw(#","sipuser":"#)
        unsigned(report.sipusers)
        // In hex, since JSON's numbers are not exact beyond 2^53.
        raw(#"},"digest":"#)
        let digits = String(report.digest, radix: 16)
        string(String(repeating: "0", count: 16 - digits.count) + digits)
        raw("}")
    }
}
