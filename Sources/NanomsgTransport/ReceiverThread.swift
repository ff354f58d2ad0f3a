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

    func run() {
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

    private func take(_ frame: UnsafeRawBufferPointer) {
        switch shared.table.withLock({ $0.examine(frame) }) {
        case .hello(let peer):
            shared.statistics.withLock { $0.hellosIn += 1 }
            shared.intake.sessionChanged(with: peer, peerIsThere: true)
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

    private func decode(_ body: [UInt8], from sender: NodeID, frameBytes: Int) {
        do throws(MessagePackError) {
            let (messages, skipped) = try MessageBatch.decode(body[...])
            shared.statistics.withLock {
                $0.framesIn += 1
                $0.bytesIn += UInt64(frameBytes)
                $0.messagesIn += UInt64(messages.count)
                $0.messagesSkipped += UInt64(skipped)
            }
            if !messages.isEmpty { deliver(.received(messages, from: sender)) }
        } catch {
            drop(.undecodable)
            shared.logger.warning("undecodable frame from \(sender): \(error)")
        }
    }

    private func drop(_ reason: DropReason) { shared.statistics.withLock { $0.drop(reason) } }
}
