package import ClusterRuntime
import Foundation
import NIOCore
import NIOHTTP1

extension ClusterClient {
    private static let topologyPath = "/rest/v1/cluster/topology"
    /// Storing and answering a large topology takes a while.
    private static let topologyTimeout: Duration = .seconds(30)

    private struct Shown: Decodable {
        let version: UInt64
        let since: Int64
        let text: String
    }

    /// The topology that the cluster goes by, by the active router.
    /// - Returns: nil when no router that leads answers, or one turns us away.
    package func activeTopology(within limit: Duration = .seconds(10)) async -> ActiveTopology? {
        let deadline = SystemClock.monotonic() + limit
        repeat {
            for router in topology.nodes(of: .router) {
                // A router that is down or stands by has nothing to say: the others are asked as well.
                guard let answer = try? await get(Self.topologyPath, from: router) else { continue }
                // No later answer would be another one.
                if [401, 403].contains(answer.status) { return nil }
                guard answer.isOK, let shown = try? JSONDecoder().decode(Shown.self, from: answer.body)  // the same
                else { continue }
                return ActiveTopology(version: shown.version, text: shown.text, since: shown.since)
            }
            try? await Task.sleep(for: Self.retryInterval)  // Cancelled: the loop's condition sees it.
        } while SystemClock.monotonic() < deadline && !Task.isCancelled
        return nil
    }

    /// The topology that the cluster goes by, if it is a newer one than this version. Asks each router once.
    package func activeTopology(after version: UInt64) async -> ActiveTopology? {
        for router in topology.nodes(of: .router) {
            // A router that is down or stands by has nothing to say: the others are asked as well.
            guard let answer = try? await get("\(Self.topologyPath)?after=\(version)", from: router), answer.isOK
            else { continue }
            guard answer.status != 204 else { return nil }
            // What cannot be read is no topology either.
            return (try? JSONDecoder().decode(Shown.self, from: answer.body)).map {
                ActiveTopology(version: $0.version, text: $0.text, since: $0.since)
            }
        }
        return nil
    }

    /// What would move where, and why, if a topology were activated, by the active router.
    /// - Returns: nil when no router that leads answers.
    package func preview(of text: String) async -> [PlannedMovement]? {
        // A text can always be encoded.
        guard let body = try? JSONEncoder().encode(["text": text]) else { preconditionFailure("a text is not JSON") }
        for router in topology.nodes(of: .router) {
            guard
                // A router that is down or stands by has nothing to say: the others are asked as well.
                let answer = try? await send(
                    .POST, "\(Self.topologyPath)/preview", to: router, body: ByteBuffer(bytes: body),
                    timeout: Self.topologyTimeout, bodyTimeout: Self.topologyTimeout), answer.isOK
            else { continue }
            // What cannot be read is no answer either.
            return try? JSONDecoder().decode([PlannedMovement].self, from: answer.body)
        }
        return nil
    }

    /// Has the cluster go by another topology: asks every router until one that leads takes or refuses it.
    /// - Parameter version: the one it is to follow.
    package func activate(
        _ text: String, after version: UInt64, within limit: Duration = .seconds(20)
    ) async -> OrderAnswer {
        struct Body: Encodable {
            let text: String
            let after: UInt64
        }
        // A text and a number can always be encoded.
        guard let body = try? JSONEncoder().encode(Body(text: text, after: version)) else {
            preconditionFailure("a topology is not JSON")
        }
        return await askLeader(within: limit) { router async throws(Failure) in
            try await self.send(
                .PUT, Self.topologyPath, to: router, body: ByteBuffer(bytes: body), timeout: Self.topologyTimeout,
                bodyTimeout: Self.topologyTimeout)
        }
    }
}
