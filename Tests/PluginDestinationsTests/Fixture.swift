import Destinations
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

    /// The same as an owner publishes them.
    static func batch(
        _ seqs: ClosedRange<UInt64>, epoch: UInt64 = 3, of name: String = "demo.example"
    ) -> DestinationBatch {
        batch(entries(seqs), epoch: epoch, of: name)
    }

    static func batch(
        _ entries: [LogEntry], epoch: UInt64 = 3, of name: String = "demo.example"
    ) -> DestinationBatch {
        DestinationBatch(
            domain: domain(name), events: entries.map { DestinationEvent(epoch: epoch, entry: $0) })
    }

    /// Delivers until the destination has it all, as a lane does.
    /// - Returns: why it last had not; nil when it took everything
    static func deliver(_ batch: DestinationBatch, to destination: some Destination) async throws -> DestinationError? {
        var last: DestinationError?
        for _ in 0..<600 {
            do throws(DestinationError) {
                try await destination.deliver(batch)
                return nil
            } catch {
                last = error
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        return last
    }

    /// What the destination says of a batch that it does not take.
    static func failure(of batch: DestinationBatch, at destination: some Destination) async -> DestinationError? {
        do throws(DestinationError) {
            try await destination.deliver(batch)
            return nil
        } catch {
            return error
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
