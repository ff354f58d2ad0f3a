import ClusterRuntime
import Glibc
import Logging
import MessagePack
import Synchronization

/// The thread that waits at the inbox, opens what comes, and hands it over.
struct ReceiverThread {
    let shared: NanomsgTransport.Shared
    let inbox: NanomsgSocket
    let deliver: @Sendable (TransportEvent) -> Void
    /// Of peers, by their present lives.
    private var clocks: [NodeName: (incarnation: UInt64, clock: PeerClock)] = [:]
    /// Lives that have sent what could not be decoded: each is logged once.
    private var undecodable: Set<NodeID> = []
    private static let loggedLives = 1_000

    init(
        shared: NanomsgTransport.Shared, inbox: NanomsgSocket, deliver: @escaping @Sendable (TransportEvent) -> Void
    ) {
        self.shared = shared
        self.inbox = inbox
        self.deliver = deliver
    }

    mutating func run() {
        while !shared.stopping.load(ordering: .acquiring) {
            do throws(NanomsgSocket.Failure) {
                try inbox.receive { take($0) }
            } catch {
                if error.code == EBADF { return }
                guard error.code != EINTR && error.code != EAGAIN else { continue }
                shared.logger.error("the inbox failed: \(error)")
                return shared.fail(error)
            }
        }
    }

    private mutating func take(_ frame: UnsafeRawBufferPointer) {
        switch shared.table.withLock({ $0.examine(frame) }) {
        case .hello(let life, let sentAt, let hasRestarted):
            if let sentAt { _ = isLate(sentAt, from: life) }
            let peer = life.name
            shared.statistics.withLock { $0.hellosIn += 1 }
            shared.intake.sessionChanged(with: peer, peerIsThere: true, peerHasRestarted: hasRestarted)
        case .dropped(let reason, let peer):
            drop(reason)
            if let peer { shared.intake.sessionChanged(with: peer, peerIsThere: false) }
        case .data(let header, let key, let length):
            let headerBytes = UnsafeRawBufferPointer(rebasing: frame[..<length])
            let body = UnsafeRawBufferPointer(rebasing: frame[length...])
            guard let opened = key.open(body, header: headerBytes) else { return drop(.forged) }
            if let reason = shared.table.withLock({ $0.accept(header) }) { return drop(reason) }
            decode(opened, from: header.sender, frameBytes: frame.count)
        }
    }

    private mutating func decode(_ body: [UInt8], from sender: NodeID, frameBytes: Int) {
        do throws(MessagePackError) {
            let (messages, skipped) = try MessageBatch.decode(body[...])
            shared.statistics.withLock {
                $0.framesIn += 1
                $0.bytesIn += UInt64(frameBytes)
                $0.messagesIn += UInt64(messages.count)
                $0.messagesSkipped += UInt64(skipped)
            }
            let timely = timely(messages, from: sender)
            if !timely.isEmpty { deliver(.received(timely, from: sender)) }
        } catch {
            drop(.undecodable)
            guard undecodable.count < Self.loggedLives, undecodable.insert(sender).inserted else { return }
            shared.logger.warning(
                "undecodable frame from \(sender): \(error); from now on its like is only counted")
        }
    }

    /// A request that was held up longer than its sender waits for an answer must not be carried out any more: whoever
    /// made it has given up, and may have asked for something else since.
    private mutating func timely(_ messages: [Message], from sender: NodeID) -> [Message] {
        var kept: [Message] = []
        kept.reserveCapacity(messages.count)
        for message in messages {
            guard case .request(var request) = message, request.sentAt != 0 else {
                kept.append(message)
                continue
            }
            guard !isLate(request.sentAt, from: sender) else {
                drop(.late)
                continue
            }
            request.sentAt = 0
            kept.append(.request(request))
        }
        return kept
    }

    private mutating func isLate(_ sentAt: Int64, from life: NodeID) -> Bool {
        if clocks[life.name]?.incarnation != life.incarnation {
            clocks[life.name] = (life.incarnation, PeerClock(limit: shared.configuration.requestAge))
        }
        return clocks[life.name]?.clock.isLate(sentAt, at: SystemClock.monotonic()) ?? false
    }

    private func drop(_ reason: DropReason) { shared.statistics.withLock { $0.drop(reason) } }
}
