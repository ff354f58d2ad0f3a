import ClusterRuntime
import Foundation
import RegistrarEvents
import SIP
import Testing

@testable import SIPGateway

/// The messages of RFC 4475, each from a socket of its own to a running server for `example.com`, and what comes back.
///
/// Each is sent byte for byte from the port that its Via names, on an address of the loopback network that is free; so
/// the answer finds its way by the Via as well. What the RFC leaves to an element that knows the method is answered 405
/// here, since the method is looked at first (RFC 3261 section 8.2.1).
@Suite struct TortureServerTests {
    /// By name; nil for what is not to be answered.
    static let outcomes: [(name: String, status: Int?)] = [
        ("wsinv", 405), ("intmeth", 405), ("esc01", 405), ("escnull", 200), ("esc02", 405), ("lwsdisp", 200),
        ("longreq", 405), ("dblreq", 200), ("semiuri", 200), ("transports", 200), ("mpart01", 405), ("unreason", nil),
        ("noreason", nil), ("badinv01", 400), ("clerr", 400), ("ncl", 400), ("scalar02", 400), ("scalarlg", nil),
        ("quotbal", 400), ("ltgtruri", 400), ("lwsruri", 400), ("lwsstart", 400), ("trws", 400), ("escruri", 405),
        ("baddate", 405), ("regbadct", 400), ("badaspec", 400), ("baddn", 400), ("badvers", 505), ("mismatch01", 400),
        ("mismatch02", 400), ("bigcode", nil), ("badbranch", 200), ("insuf", 400), ("unkscm", 416), ("novelsc", 416),
        ("unksm2", 400), ("bext01", 420), ("invut", 405), ("regaut01", 200), ("multi01", 400), ("mcl01", 400),
        ("bcast", nil), ("zeromf", 200), ("cparam01", 200), ("cparam02", 200), ("regescrt", 200), ("sdp01", 405),
        ("inv2543", 405),
    ]

    /// With digest every REGISTER that can be read is challenged, one with a scheme that nobody knows as well.
    static let challenged = ["escnull", "dblreq", "regbadct", "unksm2", "regaut01", "cparam01", "cparam02", "regescrt"]

    @Test func anOpenServerGivesEachItsStatusAndLivesOn() async throws {
        #expect(Self.outcomes.count == 49)
        try await Self.run(directory: nil) { _, status in status }
    }

    @Test func aServerWithDigestChallengesRegistrationsFirst() async throws {
        try await Self.run(directory: InMemoryDirectory()) { name, status in
            Self.challenged.contains(name) ? 401 : status
        }
    }

    private static func run(
        directory: (any AccountDirectory)?, expected: @Sendable (String, Int?) -> Int?
    ) async throws {
        let domain = try #require(DomainName("example.com"))
        try await RunningServer.run(domain: domain, directory: directory) { running in
            for (index, (name, status)) in outcomes.enumerated() {
                let expected = expected(name, status).map { [$0] } ?? []
                let statuses = try await statuses(of: name, index, running.udp, expecting: expected.count)
                #expect(statuses == expected, "\(name)")
            }
        }
    }

    /// The statuses of as many answers as are expected, and of any others that are sent before the answer to a request
    /// that follows.
    private static func statuses(
        of name: String, _ index: Int, _ port: Int, expecting count: Int
    ) async throws -> [Int] {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appending(path: "../SIPTests/Vectors/\(name).sip")
        let bytes = [UInt8](try Data(contentsOf: file))
        let network = UInt8.random(in: 1...250)
        let socket = try await DatagramClient(
            port: port, address: "127.\(network).\(index).\(UInt8.random(in: 1...250))", localPort: viaPort(bytes))
        socket.send(bytes)
        var phone = Phone(domain: "example.com", callID: "after-\(name)-\(network)")
        socket.send(phone.request("OPTIONS", uri: "sip:example.com"))
        var statuses: [Int] = []
        var isAlive = false
        while !isAlive || statuses.count < count {
            let answer = try Answer(try await socket.next())
            if answer[.callID] == phone.callID {
                isAlive = answer.status == 200
            } else {
                statuses.append(answer.status)
            }
        }
        try await socket.close()
        return statuses
    }

    /// Any port for a Via that cannot be read: then the answer goes to where the request came from.
    private static func viaPort(_ bytes: [UInt8]) -> Int {
        // Each reads what the other refuses: one without Call-ID, and one with a start line that is none.
        let message = (try? SIPMessage.parse(bytes)) ?? SIPMessage.salvage(bytes)
        guard let text = message?.first(.via), let via = try? Via(parsing: text) else { return 0 }
        return via.rport == .absent ? Int(via.sentByPort ?? 5060) : 0
    }
}
