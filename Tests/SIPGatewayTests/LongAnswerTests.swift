import RegistrarEvents
import SIP
import Testing

@testable import SIPGateway

/// Lists of contacts that no datagram holds. Sources: RFC 3261 sections 10.3 and 18, RFC 768.
@Suite struct LongAnswerTests {
    /// - Parameter length: of a parameter that is listed with it.
    private func contact(_ number: Int, _ length: Int, instance: String? = nil) -> String {
        "Contact: <sip:alice@192.0.2.1:\(5000 + number)>;note=\"\(String(repeating: "n", count: length))\""
            + (instance.map { ";+sip.instance=\"<\($0)>\"" } ?? "") + ";expires=600"
    }

    @Test func aListThatNoDatagramHoldsIsRefusedOverUDPAndToldOverAStream() throws {
        var test = try TestRegistrar(devices: 100)
        var phone = Phone()
        for first in stride(from: 0, to: 60, by: 10) {
            let answer = try test.answer(phone.register((first..<first + 10).map { contact($0, 1_000) }))
            #expect(answer.status == 200 && answer.bytes.count <= Route.maximumDatagram)
        }
        let request = phone.register((60..<70).map { contact($0, 1_000) })
        let refused = try test.answer(request)
        #expect(refused.status == 513)
        #expect(refused.reason.contains("use TCP"), "\(refused.reason)")
        #expect(refused.all(.contact).isEmpty, "a part of them would be a lie")
        #expect(test.counters.statistics.tooLarge == 1)
        #expect(test.counters.statistics.accepted == 6)
        #expect(try test.answer(request).bytes == refused.bytes, "a repetition gets the same answer")

        #expect(test.registered == 70, "what was asked for has happened")
        phone.via = "SIP/2.0/TCP 192.0.2.1:40000"
        let listed = try #require(try test.receive(phone.register(), from: TestRegistrar.stream(1)).first)
        #expect(listed.status == 200)
        #expect(listed.all(.contact).count == 70)
    }

    @Test func nothingHappensWhenTheContactsOfTheRequestAreTooLongThemselves() throws {
        var test = try TestRegistrar(devices: 100)
        var phone = Phone()
        let instance = String(repeating: "%", count: 200)
        let long = (0..<16).map { contact($0, 3_700, instance: "\(instance)\($0)") }
        let request = phone.register(["Supported: gruu"] + long)
        #expect(request.utf8.count < Route.maximumDatagram)
        #expect(try test.answer(request).status == 513)
        #expect(test.registered == 0)
        #expect(test.counters.statistics.tooLarge == 1)
        #expect(try test.answer(phone.register(long)).status == 200, "without GRUUs they fit")
        #expect(test.registered == 16)
    }

    /// The system would refuse to send it, and close the socket for everybody.
    @Test func whatIsLargerThanADatagramIsNotHandedToTheSystem() async throws {
        try await RunningServer.run { running in
            let socket = try await DatagramClient(port: running.udp)
            var phone = Phone()
            // All of these are repeated in the answer, which says more than the request.
            let vias = (0..<8).map { "Via: SIP/2.0/UDP x\($0);note=\(String(repeating: "v", count: 8_000))" }
            let short = phone.request("NOTIFY", uri: "sip:demo.example", vias + ["Via: SIP/2.0/UDP y;note="])
            let rest = String(repeating: "v", count: Route.maximumDatagram - short.utf8.count)
            socket.send(short.replacing("y;note=", with: "y;note=\(rest)"))
            try await eventually("it is counted") { running.server.statistics.unsent == 1 }
            var other = Phone(callID: "other")
            #expect(try await socket.answer(other.request("OPTIONS", uri: "sip:demo.example")).status == 200)
            try await socket.close()
        }
    }
}
