import ClusterRuntime
import Glibc
import Logging
import MessagePack
import Synchronization

/// The one thread that encodes, seals and sends, for all peers. It sleeps in poll(2) until messages come, a socket that
/// was busy is writable, or a hello is due.
struct SenderThread {
    private let shared: NanomsgTransport.Shared
    /// Nil: of peers that are gone.
    private var senders: [PeerSender?] = []
    /// When each peer is to be looked at again.
    private var due: [MonotonicInstant?] = []
    private var scratch = Scratch()
    /// Failures already logged: each is logged once.
    private var logged: Set<String> = []

    /// Encodes one message at a time. In a class because a struct that holds a noncopyable value cannot be copied.
    private final class Scratch {
        var writer = MessagePackWriter(reserving: 64 << 10)
    }

    init(shared: NanomsgTransport.Shared) { self.shared = shared }

    /// - Throws: when a peer cannot be connected to at all, as when its address is none.
    mutating func run() throws(NanomsgSocket.Failure) {
        while !shared.stopping.load(ordering: .acquiring) {
            var tally = SendTally()
            var changed: [Bool] = []
            let busy = try takeWork(&changed, &tally)
            // Those that are writable again must not wait for a turn in which nobody has anything to send.
            if busy, senders.contains(where: { $0?.blocked == true }) { pollSockets(upTo: 0) }
            let now = SystemClock.monotonic()
            for index in senders.indices where changed[index] || (due[index].map { $0 <= now } ?? false) {
                flush(index, at: now, &tally)
            }
            record(tally)
            if !busy { sleep() }
        }
    }

    /// Peers join at the end.
    private mutating func takeInNewPeers() throws(NanomsgSocket.Failure) {
        let present = senders.count
        let entries = shared.roster.withLock { Array($0.entries.dropFirst(present)) }
        for entry in entries {
            guard let entry else {
                // Gone before it was looked at.
                senders.append(nil)
                due.append(nil)
                continue
            }
            senders.append(
                try PeerSender(
                    peer: entry.peer, address: entry.address, socket: entry.socket,
                    configuration: shared.configuration))
            due.append(.distantPast)
        }
    }

    /// - Returns: false when there was nothing; then `send` will signal.
    private mutating func takeWork(
        _ changed: inout [Bool], _ tally: inout SendTally
    ) throws(NanomsgSocket.Failure) -> Bool {
        var work: [(Int, Intake.Work)] = []
        let busy = shared.intake.take { work.append(($0, $1)) }
        try takeInNewPeers()
        changed = [Bool](repeating: false, count: senders.count)
        for (index, item) in work {
            if item.peerIsGone {
                senders[index]?.leave(&tally)
                senders[index] = nil
                due[index] = nil
                continue
            }
            changed[index] = true
            senders[index]?.add(
                item.messages, at: SystemClock.monotonic(), scratch: &scratch.writer, tally: &tally)
            guard item.peerIsThere else { continue }
            do throws(NanomsgSocket.Failure) {
                try senders[index]?.peerIsThere(
                    hasRestarted: item.peerHasRestarted, at: SystemClock.monotonic())
            } catch {
                tally.failures.append("\(senders[index]?.peer.rawValue ?? "nobody"): \(error)")
            }
        }
        return busy
    }

    private mutating func flush(_ index: Int, at now: MonotonicInstant, _ tally: inout SendTally) {
        guard let before = senders[index]?.backlog else { return }
        // Nil of one that needs no further look is nil here.
        due[index] = senders[index]?.flush(shared.table, at: now, tally: &tally) ?? nil
        let backlog = senders[index]?.backlog ?? 0
        if before > 0 || backlog > 0 { shared.intake.setBacklog(backlog, of: index) }
    }

    private mutating func sleep() {
        let next = due.compactMap(\.self).min()
        let now = SystemClock.monotonic()
        pollSockets(upTo: next.map { Int32(clamping: max(0, ($0 - now).milliseconds + 1)) } ?? -1)
    }

    /// Waits until there is work or a blocked socket is writable.
    private mutating func pollSockets(upTo milliseconds: Int32) {
        var entries = [pollfd(fd: shared.wake.descriptor, events: Int16(POLLIN), revents: 0)]
        let blocked = senders.indices.filter { senders[$0]?.blocked == true }
        for index in blocked {
            entries.append(pollfd(fd: senders[index]?.writable ?? -1, events: Int16(POLLIN), revents: 0))
        }
        wait(&entries, upTo: milliseconds)
        if entries[0].revents != 0 { shared.wake.clear() }
        for (index, entry) in zip(blocked, entries.dropFirst()) where entry.revents != 0 {
            senders[index]?.becameWritable()
            due[index] = .distantPast
        }
    }

    private mutating func record(_ tally: SendTally) {
        shared.record(tally, and: shared.intake.takeDrops())
        for failure in tally.failures where logged.count < 100 && logged.insert(failure).inserted {
            shared.logger.warning("cannot send: \(failure)")
        }
    }
}
