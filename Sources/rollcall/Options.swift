import AccessTokens
public import ArgumentParser
import ClusterClients
public import ClusterRuntime
import Foundation
public import RegistrarEvents

/// The topology that nearly every verb is about.
struct TopologyArgument: ParsableArguments {
    @Argument(help: "The topology file.", completion: .file(extensions: ["yaml", "yml"]))
    var file: String

    func load() throws -> Topology { try Topology.load(path: file) }
}

struct JSONOption: ParsableArguments {
    @Flag(name: .customLong("json"), help: "Print JSON.")
    var isOn = false
}

extension DomainName: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

extension Position: ExpressibleByArgument {}

extension AccountKind: ExpressibleByArgument {
    public init?(argument: String) { self.init(name: argument) }
    public static var allValueStrings: [String] { allCases.map(\.name) }
}

extension EventClass: ExpressibleByArgument {}

extension AccessCapability: ExpressibleByArgument {}

extension Topology {
    /// The domain a verb is about.
    /// - Throws: `CommandFailure.badInput` with the domains there are.
    func requireDomain(_ name: DomainName) throws {
        guard domain(named: name) == nil else { return }
        let known = domains.prefix(8).map(\.name.rawValue).joined(separator: ", ")
        throw CommandFailure.badInput("\(file) has no domain \(name); expected one of \(known)")
    }

    /// The tokens' issuer; it cannot issue any when there is no secret yet, which only a node may make.
    func tokens() async throws -> AccessTokens {
        guard case .file(let path) = secret, FileManager.default.fileExists(atPath: path) else {
            return await AccessTokens(nil)
        }
        return await AccessTokens(try clusterSecret())
    }

    /// A client of the admin addresses, with an admin token unless they are open: then the secret, which not everybody
    /// may read, is not needed.
    func withClient<Result>(_ body: (ClusterClient) async throws -> Result) async throws -> Result {
        let client = ClusterClient(topology: self, token: try await adminToken())
        do {
            let result = try await body(client)
            await client.shutDown()
            return result
        } catch {
            await client.shutDown()
            throw error
        }
    }

    /// Why no router that leads has answered: what each says, and why no token was sent if none was.
    func whyNoRouterLeads(_ client: ClusterClient) async -> String {
        var lines = await client.whatRoutersSay()
        if !adminIsOpen, case .file(let path) = secret, !FileManager.default.fileExists(atPath: path) {
            lines.append("without the cluster's secret, \(path), nobody is let in")
        }
        return lines.map { "  \($0)" }.joined(separator: "\n")
    }

    private func adminToken() async throws -> String? {
        guard !adminIsOpen else { return nil }
        let tokens = try await tokens()
        // Long enough for a `status --watch` that is left running.
        return tokens.isEnabled ? try await tokens.mint(.admin, domain: nil, ttl: .seconds(7 * 86_400)) : nil
    }
}
