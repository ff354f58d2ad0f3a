import ClusterRuntime
import Foundation
import Logging
import NIOCore
import NIOSSL
import RegistrarEvents
import SIP
import Testing

@testable import SIPGateway

/// A running server over TCP and TLS.
@Suite struct StreamTests {
    private static let contact = "Contact: <sip:alice@10.0.0.1;transport=tcp>;expires=120"

    @Test func messagesMayBeCutAnywhere() async throws {
        try await RunningServer.run { running in
            let client = try await StreamClient(port: running.tcp)
            var phone = Phone()
            phone.via = "SIP/2.0/TCP 10.0.0.1"
            // Byte by byte, and then in two pieces with each possible cut, two messages each.
            for byte in phone.register(Self.contact).utf8 { try await client.send([byte]) }
            #expect(try await client.answer().status == 200)
            for cut in stride(from: 0, to: 500, by: 23) {
                let bytes = [UInt8]((phone.register(Self.contact) + phone.register()).utf8)
                try await client.send(bytes[..<cut])
                try await client.send(bytes[cut...])
                // In any order: the first waits until it is committed.
                let answers = [try await client.answer(), try await client.answer()]
                #expect(answers.map(\.status) == [200, 200])
                let numbers = Set(answers.compactMap { $0[.cseq] })
                #expect(numbers == ["\(phone.cseq - 1) REGISTER", "\(phone.cseq) REGISTER"])
            }
            guard case .sipuser(let details)? = running.owner.registrations.first?.details else {
                Issue.record("nothing is registered")
                return
            }
            #expect(details.transport == "tcp" && running.server.statistics.open == 1)
            try await client.close()
            try await eventually("the connection is counted out") { running.server.statistics.open == 0 }
        }
    }

    @Test func pipelinedRequestsAreAnsweredAllAndKeepAlivesBetween() async throws {
        try await RunningServer.run { running in
            let client = try await StreamClient(port: running.tcp)
            var phone = Phone()
            var text = "\r\n\r\n"
            for _ in 0..<50 { text += phone.request("OPTIONS", uri: "sip:demo.example") }
            try await client.send(text)
            #expect(try await client.next() == .crlf)
            for number in 1...50 { #expect(try await client.answer()[.cseq] == "\(number) OPTIONS") }
            try await client.close()
        }
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "REGISTER sip:demo.example SIP/2.0\r\nVia: SIP/2.0/TCP h\r\n\r\n",
        "OPTIONS sip:a SIP/2.0\r\nContent-Length: 999999999\r\n\r\n", "\rX",
    ])
    func whatCannotBeCutIsTheEndOfTheConnection(text: String) async throws {
        try await RunningServer.run { running in
            let client = try await StreamClient(port: running.tcp)
            var phone = Phone()
            try await client.send(phone.request("OPTIONS", uri: "sip:demo.example") + text)
            #expect(try await client.answer().status == 200)
            try await client.closed()
            let next = try await StreamClient(port: running.tcp)
            try await next.send(phone.request("OPTIONS", uri: "sip:demo.example"))
            #expect(try await next.answer().status == 200)
            #expect(running.server.statistics.malformed == 1)
            try await next.close()
        }
    }

    @Test func connectionsBeyondTheLimitAreTurnedAway() async throws {
        try await RunningServer.run(change: { $0.limits.connectionsPerNode = 2 }) { running in
            let first = try await StreamClient(port: running.tcp)
            let second = try await StreamClient(port: running.tcp)
            try await eventually("both are counted") { running.server.statistics.open == 2 }
            try await StreamClient(port: running.tcp).closed()
            #expect(running.server.statistics.turnedAway == 1)
            #expect(!first.isClosed && !second.isClosed)
            try await first.close()
            try await eventually("there is room again") { running.server.statistics.open == 1 }
            let third = try await StreamClient(port: running.tcp)
            var phone = Phone()
            try await third.send(phone.request("OPTIONS", uri: "sip:demo.example"))
            #expect(try await third.answer().status == 200)
            try await second.close()
            try await third.close()
        }
    }

    @Test func aConnectionThatSaysNothingIsClosedAndOneThatSpokeIsNot() async throws {
        try await RunningServer.run(change: { $0.firstMessageTime = .milliseconds(300) }) { running in
            let speaker = try await StreamClient(port: running.tcp)
            var phone = Phone()
            try await speaker.send(phone.request("OPTIONS", uri: "sip:demo.example"))
            #expect(try await speaker.answer().status == 200)
            let silent = try await StreamClient(port: running.tcp)
            try await silent.send("\r\n\r\n")
            try await silent.closed()
            #expect(silent.count == 2 && !speaker.isClosed)
            try await speaker.close()
        }
    }

    @Test func aConnectionOnWhichNothingIsGrantedIsClosedAndOneThatRegisteredIsNot() async throws {
        try await RunningServer.run(change: { $0.firstGrantTime = .milliseconds(300) }) { running in
            let device = try await StreamClient(port: running.tcp)
            var phone = Phone()
            try await device.send(phone.register(Self.contact))
            #expect(try await device.answer().status == 200)
            let watching = try await StreamClient(port: running.tcp)
            var watcher = try TestWatcher()
            try await watching.send(watcher.request())
            #expect(try await watching.answer().status == 200)
            let idle = try await StreamClient(port: running.tcp)
            try await idle.send(phone.request("OPTIONS", uri: "sip:demo.example"))
            #expect(try await idle.answer().status == 200)
            let wrong = try await StreamClient(port: running.tcp)
            try await wrong.send("X\r\nContent-Length: 0\r\n\r\n")
            try await idle.closed()
            try await wrong.closed()
            #expect(!device.isClosed && !watching.isClosed)
            try await device.close()
            try await watching.close()
        }
    }

    /// Most of the connections are one network's, and nothing was granted on them.
    @Test func nearTheLimitANetworkHasItsShareOfConnectionsWithoutAGrant() async throws {
        try await RunningServer.run(change: { $0.limits.connectionsPerNode = 40 }) { running in
            var idle: [StreamClient] = []
            for _ in 0..<20 { idle.append(try await StreamClient(port: running.tcp)) }
            try await eventually("all are counted") { running.server.statistics.open == 20 }
            try await StreamClient(port: running.tcp).closed()
            #expect(running.server.statistics.turnedAway == 1)
            var phone = Phone()
            for client in idle.prefix(5) {
                try await client.send(phone.register(Self.contact))
                #expect(try await client.answer().status == 200)
            }
            let next = try await StreamClient(port: running.tcp)
            try await next.send(phone.register(Self.contact))
            #expect(try await next.answer().status == 200)
            for client in idle + [next] { try await client.close() }
        }
    }

    @Test func theShareOfANetworkIsItsOwn() {
        let newcomers = Newcomers(limit: 320, shared: ["192.0.2.3"])
        for _ in 0..<20 { #expect(newcomers.begin("192.0.2.1", open: 159)) }
        #expect(newcomers.begin("192.0.2.2", open: 160))
        for _ in 0..<100 { #expect(newcomers.begin("192.0.2.3", open: 160)) }
        #expect(!newcomers.begin("192.0.2.1", open: 160))
        newcomers.end("192.0.2.1")
        #expect(newcomers.begin("192.0.2.1", open: 160))
        for _ in 0..<20 { newcomers.end("192.0.2.1") }
        newcomers.end("192.0.2.2")
        #expect(newcomers.count == 1)
    }

    /// The device limit is one, and the device's connection was closed: it can never be reached again.
    @Test func aContactWhoseConnectionIsGoneMakesRoomAtOnce() async throws {
        try await RunningServer.run(devices: 1) { running in
            let old = try await StreamClient(port: running.tcp)
            var phone = Phone(callID: "old")
            try await old.send(phone.register(Self.contact))
            #expect(try await old.answer().status == 200)
            let new = try await StreamClient(port: running.tcp)
            var newPhone = Phone(callID: "new")
            try await new.send(newPhone.register("Contact: <sip:alice@10.0.0.2;transport=tcp>;expires=120"))
            guard case .message(let bytes) = try await old.next() else { throw NotInTime(description: "a keep-alive") }
            let question = try Answer(bytes)
            #expect(question.message.method == .options)
            try await old.send(ResponseWriter(200, to: question.message, toTag: "t").finish())
            #expect(try await new.answer().status == 403)
            try await old.close()
            try await eventually("the end is noticed") { running.server.statistics.open == 1 }
            try await new.send(newPhone.register("Contact: <sip:alice@10.0.0.2;transport=tcp>;expires=120"))
            #expect(try await new.answer().contacts == ["sip:alice@10.0.0.2;transport=tcp"])
            try await new.close()
        }
    }

    @Test func aPhoneRegistersOverTLS() async throws {
        let files = try CertificateFiles()
        defer { files.remove() }
        let tls = SIPListen.TLS(port: 0, files: TLSFiles(certificatePath: files.certificate, keyPath: files.key))
        let certificates = try NIOSSLCertificate.fromPEMFile(files.certificate)
        try await RunningServer.run(tls: tls) { running in
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.trustRoots = .certificates(certificates)
            configuration.certificateVerification = .noHostnameVerification
            let client = try await StreamClient(
                port: running.ports.tls ?? 0, tls: try NIOSSLContext(configuration: configuration))
            var phone = Phone()
            phone.via = "SIP/2.0/TLS 10.0.0.1"
            try await client.send(phone.register("Contact: <sips:alice@10.0.0.1>;expires=120") + phone.register())
            let answers = [try await client.answer(), try await client.answer()]
            #expect(answers.map(\.status) == [200, 200])
            #expect(try answers.contains { try $0.contacts == ["sips:alice@10.0.0.1"] })
            guard case .sipuser(let details)? = running.owner.registrations.first?.details else {
                Issue.record("nothing is registered")
                return
            }
            #expect(details.transport == "tls")
            // What is no TLS ends its own connection only.
            let plain = try await StreamClient(port: running.ports.tls ?? 0)
            try await plain.send(phone.register())
            try await plain.closed()
            try await client.send(phone.register())
            #expect(try await client.answer().status == 200)
            try await client.close()
        }
    }

    @Test func withoutItsCertificateAServerDoesNotStart() async {
        let tls = SIPListen.TLS(
            port: 0, files: TLSFiles(certificatePath: "/nonexistent.pem", keyPath: "/nonexistent.pem"))
        await #expect(throws: (any Error).self) {
            let settings = SIPSettings(
                host: "127.0.0.1", listen: SIPListen(tls: tls, isOpen: true), threads: 1, limits: Limits(),
                periods: Periods(), domains: [])
            try await SIPServer(
                settings: settings, life: RunningServer.life,
                transport: InMemoryTransport(self: RunningServer.life, on: InMemoryHub()),
                directory: InMemoryDirectory(), log: .init(label: "test")
            ).run()
        }
    }
}

/// A key and a certificate that it has signed itself, made by openssl.
struct CertificateFiles {
    let directory: URL

    init() throws {
        directory = FileManager.default.temporaryDirectory.appending(path: "rollcall-tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let openssl = Process()
        openssl.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        openssl.arguments = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-keyout", key, "-out", certificate,
        ]
        openssl.standardError = FileHandle.nullDevice
        try openssl.run()
        openssl.waitUntilExit()
        try #require(openssl.terminationStatus == 0)
    }

    var key: String { directory.appending(path: "key.pem").path }
    var certificate: String { directory.appending(path: "certificate.pem").path }

    func remove() {
        // What is left in the temporary directory does no harm.
        try? FileManager.default.removeItem(at: directory)
    }
}
