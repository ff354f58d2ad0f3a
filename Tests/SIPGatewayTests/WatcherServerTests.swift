import ClusterRuntime
import NIOSSL
import RegistrarEvents
import SIP
import Synchronization
import Testing

@testable import SIPGateway

/// Watchers of a running server.
@Suite struct WatcherServerTests {
    private func register(_ phone: inout Phone, _ number: Int) -> String {
        phone.register("Contact: <sip:alice@10.0.0.\(number)>;expires=120")
    }

    /// The kernel gives a sender's datagrams to one of the event loops: with so many senders the dialog, its refresh,
    /// the answers to its notifications and the phone are hardly all at one.
    @Test func itDoesNotMatterWhichEventLoopAMessageComesTo() async throws {
        try await RunningServer.run(threads: 3, change: { $0.periods.notifyInterval = .milliseconds(1) }) { running in
            let phoneSocket = try await DatagramClient(port: running.udp)
            var phone = Phone()
            #expect(try await phoneSocket.answer(register(&phone, 0)).status == 200)
            var watchers: [(watcher: TestWatcher, socket: DatagramClient)] = []
            for number in 1...8 {
                var watcher = try TestWatcher(callID: "watch-\(number)")
                let socket = try await DatagramClient(port: running.udp)
                let answer = try await socket.answer(watcher.request())
                #expect(answer.status == 200)
                try watcher.take(answer)
                let notify = try Notification(try Answer(try await socket.next()))
                #expect(notify.scope == "full" && notify.contacts.count == 1)
                socket.send(notify.response())
                watchers.append((watcher, socket))
            }
            // Each refreshes from where the one before it was, so most of them come to another loop.
            for index in watchers.indices {
                let socket = watchers[(index + 1) % watchers.count].socket
                let answer = try await socket.answer(watchers[index].watcher.request())
                #expect(answer.status == 200)
                let notify = try Notification(try Answer(try await socket.next()))
                #expect((notify.version, notify.scope) == (1, "full"))
                socket.send(notify.response())
            }
            #expect(try await phoneSocket.answer(register(&phone, 1)).status == 200)
            for (_, socket) in watchers {
                let notify = try Notification(try Answer(try await socket.next()))
                #expect(notify.version == 2 && notify.events == ["registered sip:alice@10.0.0.1"])
                socket.send(notify.response())
            }
            #expect(running.server.statistics.watchers == 8)
            try await eventually("every answer is taken in") { running.server.statistics.responses == 24 }
            for (_, socket) in watchers { try await socket.close() }
            try await phoneSocket.close()
        }
    }

    @Test func aWatcherOverTLSIsToldOverItsConnection() async throws {
        let files = try CertificateFiles()
        defer { files.remove() }
        let tls = SIPListen.TLS(
            port: 0, files: TLSFiles(certificatePath: files.certificate, keyPath: files.key))
        let certificates = try NIOSSLCertificate.fromPEMFile(files.certificate)
        try await RunningServer.run(tls: tls) { running in
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.trustRoots = .certificates(certificates)
            configuration.certificateVerification = .noHostnameVerification
            let client = try await StreamClient(
                port: running.ports.tls ?? 0, tls: try NIOSSLContext(configuration: configuration))
            var watcher = try TestWatcher()
            try await client.send(watcher.request(uri: "sips:alice@demo.example"))
            let answer = try await client.answer()
            #expect(answer.status == 200)
            #expect(answer[.contact] == "<sips:127.0.0.1>")
            let first = try Notification(try await client.answer())
            #expect(first.scope == "full" && first.addressOfRecord == "sips:alice@demo.example")
            try await client.send(first.response())
            let contact = SIPUserDetails(contactURI: "sip:alice@gateway.example")
            try running.owner.put(Registration(account: "alice", contact: "c1", sipuser: contact))
            let second = try Notification(try await client.answer())
            #expect(second.version == 1 && second.events == ["created sip:alice@gateway.example"])
            try await client.send(second.response())
            try await client.close()
        }
    }

    @Test func withItsConnectionAWatcherIsGoneAtOnce() async throws {
        try await RunningServer.run(change: { $0.limits.watchersPerAccount = 1 }) { running in
            for number in 1...3 {
                let client = try await StreamClient(port: running.tcp)
                var watcher = try TestWatcher(callID: "watch-\(number)")
                try await client.send(watcher.request())
                #expect(try await client.answer().status == 200)
                try await client.send(try Notification(try await client.answer()).response())
                try await client.close()
                try await eventually("it is gone") { running.server.statistics.watchers == 0 }
            }
            #expect(running.server.statistics.watchersLost == 3)
        }
    }

    @Test func aServerThatStopsTellsItsWatchers() async throws {
        let holder = Mutex<DatagramClient?>(nil)
        try await RunningServer.run { running in
            let socket = try await DatagramClient(port: running.udp)
            var watcher = try TestWatcher()
            #expect(try await socket.answer(watcher.request()).status == 200)
            let first = try Notification(try Answer(try await socket.next()))
            socket.send(first.response())
            holder.withLock { $0 = socket }
        }
        let socket = try #require(holder.withLock { $0 })
        let last = try Notification(try Answer(try await socket.next()))
        #expect(last.subscription.hasPrefix("terminated;reason=probation;retry-after="))
        try await socket.close()
    }
}
