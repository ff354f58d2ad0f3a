import ClusterRuntime
import EtcdFixture
import Foundation
import Logging
import NodeProcesses
import Testing

@testable import EtcdCoordinator

/// Who is let in, and what an operator is told when something is not as it should be.
@Suite(.serialized, .timeLimit(.minutes(2))) struct EtcdAccessTests {
    private let router = life("router1")
    private let lease: Duration = .seconds(2)
    private let directory = TemporaryDirectory()

    /// What a campaign fails with; nil when it does not.
    private func complaint(_ spec: EtcdSpec) async throws -> String? {
        try await withEtcd(spec) { coordinators in
            do {
                _ = try await coordinators[0].campaign(as: router, lease: lease)
                return nil
            } catch {
                return "\(error)"
            }
        }
    }

    private func login(_ user: String = "rollcall", _ password: String = "right") throws -> EtcdSpec.Login {
        try FileManager.default.createDirectory(atPath: directory.path, withIntermediateDirectories: true)
        let file = "\(directory.path)/\(user)-\(password)"
        let isWritten = FileManager.default.createFile(
            atPath: file, contents: Data("\(password)\n".utf8), attributes: [.posixPermissions: 0o600])
        try #require(isWritten)
        return EtcdSpec.Login(user: user, passwordPath: file)
    }

    @Test func userAndPasswordAreAskedForAndTokensRenewed() async throws {
        try await EtcdMembers.with(1) { members in
            let member = members.members[0]
            try await members.etcdctl("user", "add", "root:root")
            try await members.etcdctl("user", "grant-role", "root", "root")
            try await members.etcdctl("user", "add", "rollcall:right")
            try await members.etcdctl("role", "add", "rollcall")
            try await members.etcdctl(
                "role", "grant-permission", "rollcall", "readwrite", "--prefix=true", "/mine/")
            try await members.etcdctl("user", "grant-role", "rollcall", "rollcall")
            let mine = members.spec(prefix: "/mine", login: try login())
            #expect(try await complaint(mine) == nil, "a password nobody asks for does no harm")
            try await withEtcd(mine) { coordinators in
                let coordinator = coordinators[0]
                try await coordinator.resign(term: 1)
                try await members.etcdctl("auth", "enable")
                #expect(try await coordinator.campaign(as: router, lease: lease) == .leading(term: 2))
                // Tokens do not outlive the member that gave them.
                await members.kill(member)
                try await members.start(member)
                try await members.waitUntilServing(member, as: "root:root")
                #expect(try await coordinator.campaign(as: router, lease: lease) == .leading(term: 2))
                let (told, teller) = AsyncStream<Void>.makeStream()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { await coordinator.watch { teller.yield() } }
                    try await coordinator.resign(term: 2)
                    var times = told.makeAsyncIterator()
                    await times.next()
                    group.cancelAll()
                }
            }
            let wrong = try await complaint(members.spec(prefix: "/mine", login: try login("rollcall", "wrong")))
            #expect(
                wrong == "the coordinator cannot be reached: etcd refuses: user rollcall: authentication failed, "
                    + "invalid user ID or password")
            let nobody = try #require(try await complaint(members.spec(prefix: "/mine")))
            #expect(nobody.contains("expected user and password in the topology's coordinator"))
            let elsewhere = try #require(try await complaint(members.spec(prefix: "/other", login: try login())))
            #expect(elsewhere.contains("permission denied; expected a role that may read and write everything under"))
            let absent = EtcdSpec.Login(user: "rollcall", passwordPath: "\(directory.path)/absent")
            #expect(try await complaint(members.spec(prefix: "/mine", login: absent))?.contains("cannot read") == true)
        }
    }

    @Test func aPasswordForEverybodyIsRefused() throws {
        let login = try login()
        #expect(try login.password() == "right")
        chmod(login.passwordPath, 0o644)
        #expect {
            try login.password()
        } throws: {
            "\($0)".hasSuffix("has mode 0644: everybody may use it; expected mode 0600")
        }
    }

    @Test func bothSidesOfATLSConnectionAreChecked() async throws {
        try await EtcdMembers.with(1, isSecure: true) { members in
            let tls = try #require(members.tls)
            #expect(try await complaint(members.spec()) == nil)
            func spec(_ tls: EtcdSpec.TLS?, _ endpoints: [String]? = nil) -> EtcdSpec {
                EtcdSpec(endpoints: endpoints ?? members.endpoints, prefix: "/test", tls: tls)
            }
            let foreign = try await complaint(
                spec(.init(caPath: tls.foreignCA, certificatePath: tls.certificate, keyPath: tls.key)))
            #expect(foreign?.contains("the server's certificate is not from this CA, or not for this name") == true)
            let anonymous = try await complaint(spec(.init(caPath: tls.ca)))
            #expect(
                anonymous?.contains("the server does not accept our certificate, or asks for one") == true,
                "\(anonymous ?? "")")
            let plain = members.endpoints.map { $0.replacing("https:", with: "http:") }
            let unprotected = try await complaint(spec(nil, plain))
            #expect(unprotected?.contains("the connection was closed before an answer came") == true)
            #expect(throws: CoordinatorError.self) {
                try EtcdCoordinator(
                    spec(.init(caPath: "/absent.pem")), leadership: lease, logger: .init(label: "test"))
            }
        }
    }

    @Test func membersOfTwoClustersAreNotTakenForOne() async throws {
        try await EtcdMembers.with(1) { one in
            try await EtcdMembers.with(1) { other in
                let both = EtcdSpec(endpoints: one.endpoints + other.endpoints, prefix: "/test")
                let told = try #require(try await complaint(both))
                #expect(told.contains("name members of one cluster, and start the router anew"))
            }
        }
    }

    @Test func whatIsNotEtcdIsNamed() async throws {
        try FileManager.default.createDirectory(atPath: directory.path, withIntermediateDirectories: true)
        let log = "\(directory.path)/server"
        let server = try await ChildProcess.start(
            .init(
                executable: "/usr/bin/setpriv",
                arguments: [
                    "--pdeathsig", "KILL", "/usr/bin/python3", "-u", "-m", "http.server", "--bind", "127.0.0.1", "0",
                ], log: log))
        var port: String?
        while port == nil, server.ending == nil {
            // It says where it listens once it does.
            let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
            port = text.firstMatch(of: #/port (\d+)/#).map { String($0.1) }
            try await Task.sleep(for: .milliseconds(20))
        }
        let url = "http://127.0.0.1:\(try #require(port))"
        let told = try await complaint(EtcdSpec(endpoints: [url], prefix: "/test"))
        #expect(
            told == "the coordinator cannot be reached: \(url): HTTP 501 and nothing of etcd's; expected an etcd of "
                + "version 3.4 or later with its gRPC gateway on")
        await server.stop(grace: .seconds(2))
        let absent = try await complaint(EtcdSpec(endpoints: [url], prefix: "/test"))
        #expect(absent == "the coordinator cannot be reached: \(url): connection refused")
    }
}
