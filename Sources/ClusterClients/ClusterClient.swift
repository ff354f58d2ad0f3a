import AsyncHTTPClient
package import ClusterRuntime
import Foundation
package import NIOCore
package import NIOHTTP1
import NIOPosix
import RegistrarEvents

/// Speaks to the admin addresses of a topology's nodes, over connections that are kept open.
package final class ClusterClient: Sendable {
    package struct Answer: Sendable {
        package var status: UInt
        package var body: ByteBuffer

        package var isOK: Bool { (200..<300).contains(status) }
        /// The body as text, for messages.
        package var text: String { String(buffer: body).trimmingCharacters(in: .whitespacesAndNewlines) }
        /// What a refusal says, for people.
        package var message: String {
            JSONValue.decode(body)?.object?["error"]?.object?["message"]?.text ?? text
        }
        /// Where it would be answered, by a redirection.
        fileprivate var location: String?
    }

    /// Why there was no answer.
    package enum Failure: Error, Hashable, CustomStringConvertible {
        /// There was no connection, so the request never left.
        case unreachable(String)
        /// It left, and no answer came.
        case unanswered(String)

        package var description: String {
            switch self {
            case .unreachable(let reason): "cannot connect: \(reason)"
            case .unanswered(let reason): "no answer: \(reason)"
            }
        }
    }

    /// Largest answer taken, in bytes: the list of a million contacts.
    static let maximumAnswer = 1 << 30
    /// How long the rest of an answer may take once it has begun.
    package static let bodyTimeout: Duration = .seconds(10)
    /// Requests that may be under way to one node.
    static let connectionsPerNode = 128

    package let topology: Topology
    private let http: HTTPClient
    private let token: String?
    private let routerURLs: Set<String>

    /// - Parameter token: for the admin addresses; nil where they are open.
    package init(topology: Topology, token: String?) {
        self.topology = topology
        self.token = token
        routerURLs = Set(topology.nodes(of: .router).map(\.adminURL))
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.timeout.connect = .seconds(1)
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = Self.connectionsPerNode
        configuration.httpVersion = .http1Only
        http = HTTPClient(
            eventLoopGroupProvider: .shared(MultiThreadedEventLoopGroup.singleton), configuration: configuration)
    }

    /// To be called before the client is let go.
    package func shutDown() async {
        // It can only complain of requests that are still under way, which nobody waits for any more.
        try? await http.shutdown()
    }

    /// Asks a node. Should it name a router as the one that leads which the topology does not have, that one is
    /// asked: a topology may be about to replace it.
    /// - Parameters:
    ///   - timeout: until an answer begins.
    ///   - bodyTimeout: from then until it is whole. A node that stops amid its answer is not waited for longer.
    package func send(
        _ method: HTTPMethod, _ path: String, to node: NodeSpec, body: ByteBuffer? = nil,
        timeout: Duration = .seconds(10), bodyTimeout: Duration = ClusterClient.bodyTimeout
    ) async throws(Failure) -> Answer {
        let answer = try await exchange(method, node.adminURL + path, body, timeout, bodyTimeout)
        guard answer.status == 307, let location = answer.location, location.hasPrefix("http://"),
            location.hasSuffix(path), !routerURLs.contains(String(location.dropLast(path.count)))
        else { return answer }
        return try await exchange(method, location, body, timeout, bodyTimeout)
    }

    private func exchange(
        _ method: HTTPMethod, _ url: String, _ body: ByteBuffer?, _ timeout: Duration, _ bodyTimeout: Duration
    ) async throws(Failure) -> Answer {
        var request = HTTPClientRequest(url: url)
        request.method = method
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        if let body {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(body)
        }
        do {
            let response = try await http.execute(request, timeout: .nanoseconds(timeout.nanoseconds))
            let body = try await withTimeLimit(bodyTimeout) {
                try await response.body.collect(upTo: Self.maximumAnswer)
            }
            return Answer(
                status: response.status.code, body: body, location: response.headers.first(name: "Location"))
        } catch is TimeLimitExceeded {
            throw .unanswered("the answer began, and did not end in \(bodyTimeout.components.seconds) s")
        } catch let error as HTTPClientError where error == .connectTimeout {
            throw .unreachable("\(error)")
        } catch let error as NIOConnectionError {
            throw .unreachable(error.connectionErrors.first.map { "\($0.error)" } ?? "\(error)")
        } catch let error as IOError where error.errnoCode == ECONNREFUSED {
            throw .unreachable("connection refused")
        } catch {
            throw .unanswered("\(error)")
        }
    }

    package func get(
        _ path: String, from node: NodeSpec, timeout: Duration = .seconds(10)
    ) async throws(Failure) -> Answer {
        try await send(.GET, path, to: node, timeout: timeout)
    }

    /// Whether a node answers at all, and if so whether it is healthy.
    package func health(of node: NodeSpec, timeout: Duration = .seconds(1)) async -> NodeHealth {
        do throws(Failure) {
            let answer = try await get("/health", from: node, timeout: timeout)
            return answer.isOK ? .healthy : .unhealthy(answer.text)
        } catch {
            return .silent
        }
    }

    /// The cluster as its active router sees it; while none leads, as one that stands by does; nil when none answers.
    package func status(timeout: Duration = .seconds(2)) async -> ClusterStatus? {
        await withTaskGroup(of: ClusterStatus?.self) { group in
            for router in topology.nodes(of: .router) {
                group.addTask { await self.status(of: router, timeout: timeout) }
            }
            // A router that is cut off from the others does not know who leads.
            var standby: ClusterStatus?
            for await status in group {
                guard let status else { continue }
                standby = status
                guard status.routers.contains(where: { $0.state == .active }) else { continue }
                group.cancelAll()
                return status
            }
            return standby
        }
    }

    private static let statusPath = "/rest/v1/cluster/status"

    private func status(of router: NodeSpec, timeout: Duration) async -> ClusterStatus? {
        // A router that is down, or knows of another one that leads, has nothing to say: the others are asked for that.
        guard let answer = try? await get(Self.statusPath, from: router, timeout: timeout), answer.isOK
        else { return nil }
        // What cannot be read is no status either: the others are asked for that, too.
        return try? JSONDecoder().decode(ClusterStatus.self, from: answer.body)
    }

    /// Why no router that leads has answered, a line for each router: what it says when it is asked for the status.
    package func whatRoutersSay(timeout: Duration = .seconds(2)) async -> [String] {
        var lines: [String] = []
        for router in topology.nodes(of: .router) {
            do throws(Failure) {
                let answer = try await get(Self.statusPath, from: router, timeout: timeout)
                lines.append(
                    "\(router.name): " + (answer.isOK ? "it answers" : "HTTP \(answer.status) \(answer.message)"))
            } catch {
                lines.append("\(router.name): \(error)")
            }
        }
        return lines
    }
}

/// What a node's `/health` says.
package enum NodeHealth: Hashable, Sendable {
    case healthy
    /// With the reasons.
    case unhealthy(String)
    case silent
}

extension JSONDecoder {
    /// Decodes what a buffer holds.
    func decode<Value: Decodable>(_ type: Value.Type, from buffer: ByteBuffer) throws -> Value {
        try decode(type, from: Data(buffer.readableBytesView))
    }
}
