import Foundation
import NodeProcesses
import Synchronization

/// An etcd cluster of one's own: real members on ports of the loopback address that the system chose, with their data
/// in a directory that goes away with them.
package final class EtcdMembers: Sendable {
    /// Certificates that the members show, ask for and accept.
    package struct TLS: Sendable {
        package let ca: String
        package let certificate: String
        package let key: String
        /// Of somebody else.
        package let foreignCA: String
    }

    package struct Failure: Error, CustomStringConvertible {
        package let description: String

        package init(_ description: String) { self.description = description }
    }

    package struct Member: Sendable {
        package let name: String
        package let url: String
        fileprivate let peerURL: String
    }

    package let directory: String
    package let members: [Member]
    package let tls: TLS?
    private let processes = Mutex<[String: ChildProcess]>([:])

    package var endpoints: [String] { members.map(\.url) }

    private init(_ count: Int, isSecure: Bool) async throws {
        let temporary = FileManager.default.temporaryDirectory
        directory = temporary.appendingPathComponent("etcd-\(UUID().uuidString.prefix(8))").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let ports = try Self.freePorts(2 * count)
        members = (0..<count).map { index in
            Member(
                name: "m\(index + 1)", url: "\(isSecure ? "https" : "http")://127.0.0.1:\(ports[2 * index])",
                peerURL: "http://127.0.0.1:\(ports[2 * index + 1])")
        }
        tls = isSecure ? try await Self.makeCertificates(in: directory) : nil
    }

    /// Starts members, and waits until all of them serve.
    /// - Parameter isSecure: whether clients speak TLS and show a certificate.
    package static func start(_ count: Int = 3, isSecure: Bool = false) async throws -> EtcdMembers {
        let cluster = try await EtcdMembers(count, isSecure: isSecure)
        do {
            for member in cluster.members { try await cluster.start(member) }
            for member in cluster.members { try await cluster.waitUntilServing(member) }
        } catch {
            await cluster.stop()
            throw error
        }
        return cluster
    }

    /// Starts members for the time of `body`.
    package static func with<Result>(
        _ count: Int = 3, isSecure: Bool = false, _ body: (EtcdMembers) async throws -> Result
    ) async throws -> Result {
        let cluster = try await start(count, isSecure: isSecure)
        do {
            let result = try await body(cluster)
            await cluster.stop()
            return result
        } catch {
            await cluster.stop()
            throw error
        }
    }

    /// Ends all members and removes their data.
    package func stop() async {
        for member in members { await kill(member) }
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// Starts a member that does not run, with the data it has.
    package func start(_ member: Member) async throws {
        var arguments = [
            // It ends with this process, however that comes to its end.
            "--pdeathsig", "KILL", "/usr/bin/etcd", "--name", member.name, "--data-dir", "\(directory)/\(member.name)",
            "--listen-client-urls", member.url, "--advertise-client-urls", member.url,
            "--listen-peer-urls", member.peerURL, "--initial-advertise-peer-urls", member.peerURL,
            "--initial-cluster", members.map { "\($0.name)=\($0.peerURL)" }.joined(separator: ","),
            "--logger", "zap", "--log-level", "error", "--log-outputs", "stderr",
        ]
        if let tls {
            arguments += [
                "--cert-file", tls.certificate, "--key-file", tls.key, "--trusted-ca-file", tls.ca,
                "--client-cert-auth",
            ]
        }
        let process = try await ChildProcess.start(
            .init(executable: "/usr/bin/setpriv", arguments: arguments, log: "\(directory)/\(member.name).log"))
        processes.withLock { $0[member.name] = process }
    }

    package func kill(_ member: Member) async {
        guard let process = processes.withLock({ $0.removeValue(forKey: member.name) }) else { return }
        process.signal(SIGKILL)
        _ = await process.wait()
    }

    package func signal(_ number: Int32, _ member: Member) {
        processes.withLock { $0[member.name] }?.signal(number)
    }

    /// The member that leads the others.
    package func leader() async throws -> Member {
        for member in members where processes.withLock({ $0[member.name] != nil }) {
            // A member that is not leading the others says so; one that does not serve says nothing.
            guard let status = try? await etcdctl("--endpoints", member.url, "endpoint", "status") else { continue }
            let fields = status.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
            if fields.count > 4, fields[4] == "true" { return member }
        }
        throw Failure("no member leads")
    }

    /// Waits until a member serves reads that all have agreed upon.
    /// - Parameter user: NAME:PASSWORD, where it asks for them.
    package func waitUntilServing(_ member: Member, as user: String = "", within seconds: Int = 30) async throws {
        for _ in 0..<seconds * 10 {
            // It is asked until it says yes.
            if (try? await etcdctl("--endpoints", member.url, "--user", user, "endpoint", "health")) != nil { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        let log = (try? String(contentsOfFile: "\(directory)/\(member.name).log", encoding: .utf8)) ?? ""
        throw Failure("\(member.name) does not serve:\n\(log.suffix(2000))")
    }

    /// Lets etcd forget everything but the latest.
    package func compact() async throws {
        let status = try await etcdctl("--endpoints", leader().url, "endpoint", "status", "-w", "json")
        guard let revision = status.firstMatch(of: #/"revision":(\d+)/#)?.1 else {
            throw Failure("no revision in \(status)")
        }
        do {
            try await etcdctl("compaction", String(revision))
        } catch let error as Failure where error.description.contains("has been compacted") {
            // Nothing was written since the last time.
        }
    }

    /// Runs `etcdctl` against all endpoints.
    /// - Throws: when it fails, with what it printed.
    @discardableResult
    package func etcdctl(_ arguments: String...) async throws -> String {
        var all = ["--dial-timeout", "2s", "--command-timeout", "5s"]
        if !arguments.contains("--endpoints") { all += ["--endpoints", endpoints.joined(separator: ",")] }
        if let tls { all += ["--cacert", tls.ca, "--cert", tls.certificate, "--key", tls.key] }
        return try await Self.run(
            "/usr/bin/etcdctl", all + arguments, environment: ["ETCDCTL_API": "3"], in: directory)
    }
}

extension EtcdMembers {
    private static func run(
        _ program: String, _ arguments: [String], environment: [String: String] = [:], in directory: String
    ) async throws -> String {
        let log = "\(directory)/run-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: log) }
        let process = try await ChildProcess.start(
            .init(executable: program, arguments: arguments, environment: environment, log: log))
        let ending = await process.wait()
        let output = try String(contentsOfFile: log, encoding: .utf8)
        guard ending == .exited(0) else {
            throw Failure("\(program) \(arguments.joined(separator: " ")): \(ending)\n\(output)")
        }
        return output
    }

    /// A CA, a certificate of it for 127.0.0.1, good for both sides of a connection, and a CA that signed nothing.
    private static func makeCertificates(in directory: String) async throws -> TLS {
        func openssl(_ arguments: String...) async throws {
            _ = try await run("/usr/bin/openssl", arguments, in: directory)
        }
        func authority(_ name: String) async throws -> String {
            try await openssl(
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj", "/CN=\(name)", "-keyout", "\(directory)/\(name).key", "-out", "\(directory)/\(name).pem")
            return "\(directory)/\(name).pem"
        }
        let ca = try await authority("ca")
        try """
        subjectAltName = IP:127.0.0.1, DNS:localhost
        extendedKeyUsage = serverAuth, clientAuth
        """.write(toFile: "\(directory)/extensions", atomically: true, encoding: .utf8)
        try await openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=member",
            "-keyout", "\(directory)/member.key", "-out", "\(directory)/member.csr")
        try await openssl(
            "x509", "-req", "-in", "\(directory)/member.csr", "-CA", ca, "-CAkey", "\(directory)/ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", "\(directory)/extensions", "-out", "\(directory)/member.pem")
        return TLS(
            ca: ca, certificate: "\(directory)/member.pem", key: "\(directory)/member.key",
            foreignCA: try await authority("foreign"))
    }

    /// Ports that nobody uses at this moment.
    private static func freePorts(_ count: Int) throws -> [Int] {
        var sockets: [Int32] = []
        defer { for socket in sockets { close(socket) } }
        return try (0..<count).map { _ in
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            sockets.append(descriptor)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = inet_addr("127.0.0.1")
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let isBound = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
                }
            }
            guard isBound else { throw Failure("no free port") }
            return Int(UInt16(bigEndian: address.sin_port))
        }
    }
}
