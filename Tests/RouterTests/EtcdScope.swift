import ClusterRuntime
import EtcdCoordinator
import EtcdFixture
import Foundation
import Logging
import Testing

/// Three members of etcd for a suite: started before its first test, ended after its last.
struct EtcdScope: SuiteTrait, TestScoping {
    @TaskLocal static var members: EtcdMembers?

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await EtcdMembers.with { members in
            try await Self.$members.withValue(members) { try await function() }
        }
    }
}

extension Trait where Self == EtcdScope {
    static var etcd: Self { Self() }
}

extension EtcdMembers {
    /// As the client that `--client-cert-auth` asks for, where these members speak TLS.
    func spec(prefix: String = "/test/\(UUID().uuidString)", login: EtcdSpec.Login? = nil) -> EtcdSpec {
        EtcdSpec(
            endpoints: endpoints, prefix: prefix,
            tls: tls.map { EtcdSpec.TLS(caPath: $0.ca, certificatePath: $0.certificate, keyPath: $0.key) },
            login: login)
    }

    /// Waits until a key is gone, as the leader's is once the lease has ended.
    func waitUntilGone(_ key: String) async throws {
        for _ in 0..<100 {
            if try await etcdctl("get", key).isEmpty { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw Failure("\(key) is still there")
    }
}

/// Coordinators of a test, which are closed when it ends.
func withEtcd<Result>(
    _ specs: EtcdSpec..., leadership: Duration = .seconds(2), _ body: ([EtcdCoordinator]) async throws -> Result
) async throws -> Result {
    var log = Logger(label: "test")
    log.logLevel = .critical
    let coordinators = try specs.map { try EtcdCoordinator($0, leadership: leadership, logger: log) }
    do {
        let result = try await body(coordinators)
        for coordinator in coordinators { await coordinator.shutDown() }
        return result
    } catch {
        for coordinator in coordinators { await coordinator.shutDown() }
        throw error
    }
}
