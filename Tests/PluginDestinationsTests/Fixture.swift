import NIOCore
import NIOPosix
import RegistrarEvents

enum Fixture {
    static func domain(_ name: String) -> DomainName {
        guard let domain = DomainName(name) else { preconditionFailure("\(name) is no domain") }
        return domain
    }

    /// A `clear` as number 1, registrations after it.
    static func entries(_ seqs: ClosedRange<UInt64>) -> [LogEntry] {
        seqs.map { seq in
            let registration = Registration(
                account: "100\(seq)", contact: "desk", sipuser: SIPUserDetails(contactURI: "sip:192.0.2.7", cseq: 1))
            guard seq > 1, let contact = PackedContact(registration) else {
                return LogEntry(seq: seq, timestamp: 1_735_689_600_000, change: .clear(.failover))
            }
            return LogEntry(
                seq: seq, timestamp: 1_735_689_600_000, change: .registered(contact, ttl: 60_000, replay: false))
        }
    }

    /// A port that nobody listens on now.
    static func freePort() async throws -> Int {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = channel.localAddress?.port ?? 0
        try await channel.close()
        return port
    }
}
