import ClusterRuntime
import Logging
import Synchronization

extension NanomsgTransport {
    /// What the threads of one transport share.
    final class Shared: Sendable {
        let configuration: Configuration
        /// The peers that there are, and were; the place of a peer here is its index everywhere.
        let roster = Mutex(Roster())
        let logger: Logger
        let wake = WakeSignal()
        let intake: Intake
        let table: Mutex<SessionTable>
        let statistics = Mutex(TransportStatistics())
        let stopping = Atomic<Bool>(false)
        private let inbox = Mutex<NanomsgSocket?>(nil)
        private let failure = Mutex<TransportFailure?>(nil)

        init(_ configuration: Configuration, logger: Logger) {
            self.configuration = configuration
            self.logger = logger
            let peers = configuration.peers.keys.filter { $0 != configuration.node.name }.sorted()
            intake = Intake(
                peers: peers, outboxBytes: configuration.outboxBytes, outboxMessages: configuration.outboxMessages,
                signal: wake)
            let nonce = (0..<Session.Hello.nonceLength).map { _ in UInt8.random(in: .min ... .max) }
            table = Mutex(
                SessionTable(
                    node: configuration.node, peers: peers, secret: configuration.secret, nonce: nonce,
                    maximumFrame: configuration.maximumFrame))
        }

        /// Who is sent to, over which sockets, once the transport runs.
        struct Roster: Sendable {
            /// Nil: a peer that is gone.
            var entries: [PeerEntry?] = []
            /// Counts the changes.
            var version = 0
        }

        struct PeerEntry: Sendable {
            let peer: NodeName
            let address: String
            /// Whether its end is to be reported.
            let isWatched: Bool
            let socket: NanomsgSocket
        }

        /// The socket to be closed by `stop`: that ends the wait of the receiver thread.
        func opened(_ socket: NanomsgSocket) {
            inbox.withLock { $0 = socket }
            if stopping.load(ordering: .acquiring) { socket.close() }
        }

        /// Makes all threads end soon.
        func stop() {
            stopping.store(true, ordering: .releasing)
            intake.close()
            inbox.withLock { $0 }?.close()
            wake.signal()
        }

        func fail(_ error: NanomsgSocket.Failure) {
            failure.withLock { $0 = TransportFailure("the inbox failed: \(error)") }
            stop()
        }

        func throwIfFailed() throws(TransportFailure) {
            if let failure = failure.withLock({ $0 }) { throw failure }
        }

        func record(_ tally: SendTally, and drops: [DropReason: Int]) {
            guard tally.frames + tally.hellos > 0 || !tally.drops.isEmpty || !drops.isEmpty else { return }
            statistics.withLock {
                $0.framesOut += UInt64(tally.frames)
                $0.bytesOut += UInt64(tally.bytes)
                $0.messagesOut += UInt64(tally.messages)
                $0.hellosOut += UInt64(tally.hellos)
                for (reason, count) in tally.drops { $0.drop(reason, count: count) }
                for (reason, count) in drops { $0.drop(reason, count: count) }
            }
        }
    }
}

/// Why a transport cannot run.
public struct TransportFailure: Error, CustomStringConvertible, Equatable {
    public let description: String

    init(_ description: String) { self.description = description }
}
