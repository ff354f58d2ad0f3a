import ClusterRuntime
import NIOCore
import RegistrarEvents
import SIP
import Testing

@testable import SIPGateway

/// A running server over UDP.
@Suite struct DatagramTests {
    @Test func aPhoneRegistersAndIsAnsweredWhereItIs() async throws {
        let directory = InMemoryDirectory()
        try directory.add(demo, AccountID(.sipuser, "alice"), password: "secret")
        try await RunningServer.run(directory: directory) { running in
            let socket = try await DatagramClient(port: running.udp)
            var phone = Phone()
            phone.via = "SIP/2.0/UDP 10.0.0.1:5060"
            let contact = "Contact: <sip:alice@10.0.0.1>;expires=120"
            let challenge = try await socket.answer(phone.register(contact))
            #expect(challenge.status == 401)
            let request = phone.register(contact, Credentials(nonce: try challenge.nonce).header)
            let answer = try await socket.answer(request)
            #expect(answer.status == 200)
            let via = try Via(parsing: try #require(answer.message.first(.via)))
            #expect(via.received?.string == "127.0.0.1" && via.rport == .value(UInt16(socket.port)))
            #expect(try await socket.answer(request).bytes == answer.bytes)
            let registered = running.owner.registrations
            #expect(registered.count == 1)
            guard case .sipuser(let details)? = registered.first?.details else { return }
            #expect((details.transport, details.peerAddress) == ("udp", "127.0.0.1"))
            #expect(Int(details.peerPort) == socket.port && details.contactURI == "sip:alice@10.0.0.1")
            try await socket.close()
        }
    }

    @Test func keepAlivesAreAnsweredAsTheirKindWants() async throws {
        try await RunningServer.run { running in
            let socket = try await DatagramClient(port: running.udp)
            for nothing in ["\r\n\r\n", "\r\n", "\0", ""] { socket.send(nothing) }
            let transaction = (1...12).map { UInt8($0) }
            socket.send([0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42] + transaction)
            let mapped = try await socket.next()
            #expect(mapped[0..<2] == [1, 1] && Array(mapped[8..<20]) == transaction)
            let port = (Int(mapped[26]) << 8 | Int(mapped[27])) ^ 0x2112
            #expect(port == socket.port)
            #expect(zip(mapped[28..<32], mapped[4..<8]).map { $0 ^ $1 } == [127, 0, 0, 1])
            #expect(running.server.statistics.malformed == 0)
            try await socket.close()
        }
    }

    /// A system's refusal to send there would close the socket for everybody.
    @Test func anAnswerToNowhereHarmsNobody() async throws {
        try await RunningServer.run { running in
            let socket = try await DatagramClient(port: running.udp)
            var phone = Phone()
            let request = phone.request("OPTIONS", uri: "sip:demo.example")
            for sender in ["10.0.0.1:0", "10.0.0.1:1", "[::1]:0", "255.255.255.255:9"] {
                let lost = request.replacing("192.0.2.1:5060;rport", with: sender)
                socket.send(lost.replacing("branch=", with: "branch=z9hG4bK\(sender.count)"))
            }
            var statuses: [Int] = []
            for _ in 0..<3 {
                statuses.append(try await socket.answer(phone.request("OPTIONS", uri: "sip:demo.example")).status)
            }
            #expect(statuses == [200, 200, 200])
            try await socket.close()
        }
    }

    /// Not even the keep-alives of a banned network are answered; a new connection is closed.
    @Test func aBannedNetworkIsNotAnsweredOverAnyTransport() async throws {
        try await RunningServer.run(change: { $0.listen = SIPListen(udp: 0, tcp: 0, ws: 0, isOpen: true) }) { running in
            let socket = try await DatagramClient(port: running.udp)
            let stream = try await StreamClient(port: running.tcp)
            try await stream.send("\r\n\r\n")
            try await eventually("the keep-alive is answered") { stream.count == 2 }
            for _ in 0..<Limits().loginFailures * 10 { socket.send("no SIP at all") }
            try await eventually("the network is banned") { !running.server.bans.isEmpty }
            let banned = running.server.statistics.banned
            socket.send([0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42] + (1...12).map { UInt8($0) })
            var phone = Phone()
            socket.send(phone.request("OPTIONS", uri: "sip:demo.example"))
            try await stream.send("\r\n\r\n")
            for port in [running.tcp, running.ports.ws ?? 0] { try await StreamClient(port: port).closed() }
            try await eventually("all is counted") { running.server.statistics.banned == banned + 5 }
            #expect(socket.count == 0 && stream.count == 2 && !stream.isClosed)
            #expect(running.server.liftBan("127.0.0.1"))
            #expect(try await socket.answer(phone.request("OPTIONS", uri: "sip:demo.example")).status == 200)
            try await stream.close()
            try await socket.close()
        }
    }

    @Test func manyPhonesAtOnceAreAllAnsweredAtEveryEventLoop() async throws {
        try await RunningServer.run(threads: 3) { running in
            try await withThrowingTaskGroup { group in
                for number in 0..<40 {
                    group.addTask {
                        let socket = try await DatagramClient(port: running.udp)
                        var phone = Phone(account: "user\(number)", callID: "call-\(number)")
                        for turn in 0..<10 {
                            let contact = "Contact: <sip:user\(number)@192.0.2.1:\(5_000 + turn)>;expires=120"
                            let answer = try await socket.answer(phone.register(contact))
                            #expect(answer.status == 200 && answer[.callID] == phone.callID)
                            #expect(answer.all(.contact).count == turn + 1)
                        }
                        try await socket.close()
                    }
                }
                try await group.waitForAll()
            }
            #expect(running.owner.registrations.count == 400)
            #expect(running.server.statistics.accepted == 400)
        }
    }

    /// The device limit is one. The device is asked over its own socket, whichever event loop that belongs to.
    @Test func aDeviceThatAnswersKeepsItsPlaceAndASilentOneLosesIt() async throws {
        try await RunningServer.run(devices: 1, threads: 2) { running in
            let (old, new) = (
                try await DatagramClient(port: running.udp), try await DatagramClient(port: running.udp)
            )
            var (oldPhone, newPhone) = (Phone(callID: "old"), Phone(callID: "new"))
            let registered = try await old.answer(oldPhone.register("Contact: <sip:alice@10.0.0.1>;expires=600"))
            #expect(registered.status == 200)
            let contact = "Contact: <sip:alice@10.0.0.2>;expires=600"
            new.send(newPhone.register(contact))
            let question = try Answer(try await old.next())
            #expect(question.message.method == .options)
            #expect(question[.via]?.contains("127.0.0.1:\(running.udp);") == true)
            old.send(ResponseWriter(486, to: question.message, toTag: "busy").finish())
            #expect(try Answer(try await new.next()).status == 403)

            new.send(newPhone.register(contact))
            let questions = [try Answer(try await old.next()), try Answer(try await old.next())]
            #expect(questions[0].bytes == questions[1].bytes && questions[0][.callID] != question[.callID])
            let answer = try Answer(try await new.next())
            #expect(try (answer.status, answer.contacts) == (200, ["sip:alice@10.0.0.2"]))
            #expect(running.server.statistics.replaced == 1)
            try await old.close()
            try await new.close()
        }
    }

    /// The system would not send to the address of a contact that was put there over REST. The device is as silent as
    /// any that is gone.
    @Test(arguments: ["255.255.255.255", "192.0.2.1", "::1"])
    func aContactAtNoAddressHarmsNobody(address: String) async throws {
        try await RunningServer.run(devices: 1) { running in
            let details = SIPUserDetails(
                contactURI: "sip:alice@h", transport: "udp", path: ["<sip:edge.example;lr>"], peerAddress: address,
                peerPort: 9)
            try running.owner.put(Registration(account: "alice", contact: "c", sipuser: details))
            let socket = try await DatagramClient(port: running.udp)
            var phone = Phone()
            let answer = try await socket.answer(phone.register("Contact: <sip:alice@192.0.2.1>"))
            #expect(try (answer.status, answer.contacts) == (200, ["sip:alice@192.0.2.1"]))
            #expect(running.server.statistics.unsent == running.server.statistics.probes)
            try await socket.close()
        }
    }

    /// The system refuses to send, and with that the socket is closed.
    @Test func aSocketThatIsClosedByAnErrorIsOpenedAgain() async throws {
        try await RunningServer.run(devices: 1) { running in
            let nowhere = try SocketAddress(ipAddress: "255.255.255.255", port: 9)
            let route = Route(way: .datagram(nowhere), peer: SIPPeer(.udp, nowhere))
            running.server.lanes[0].post(.notify([1], route))
            let socket = try await DatagramClient(port: running.udp)
            var other = Phone(account: "bob", callID: "bob")
            var isAnswered = false
            for _ in 0..<50 where !isAnswered {
                socket.send(other.request("OPTIONS", uri: "sip:demo.example"))
                try await Task.sleep(for: .milliseconds(20))
                isAnswered = socket.count > 0
            }
            #expect(isAnswered)
            try await socket.close()
        }
    }
}
