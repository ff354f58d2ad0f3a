import ClusterRuntime
import Glibc
import Logging
import MessagePack
import Synchronization

/// The one thread that encodes, seals and sends, for all peers. It sleeps in poll(2) until messages come, a socket that
/// was busy is writable, or a hello is due.
struct SenderThread {
    private let shared: NanomsgTransport.Shared
    private var senders: [PeerSender]
    /// When each peer is to be looked at again.
    private var due: [MonotonicInstant?]
    private var scratch = Scratch()
    /// Failures already logged: each is logged once.
    private var logged: Set<String> = []

    /// Encodes one message at a time. In a class because a struct that holds a noncopyable value cannot be copied.
    private final class Scratch {
        var writer = MessagePackWriter(reserving: 64 << 10)
    }

    init(shared: NanomsgTransport.Shared, sockets: [NanomsgSocket]) throws(NanomsgSocket.Failure) {
        self.shared = shared
        senders = []
        for (peer, socket) in zip(shared.peers, sockets) {
            senders.append(
                try PeerSender(
                    peer: peer, address: shared.configuration.peers[peer] ?? "", socket: socket,
                    configuration: shared.configuration))
        }
        due = senders.map { _ in .distantPast }
    }

    mutating func run() {
        while !shared.stopping.load(ordering: .acquiring) {
            var tally = SendTally()
            var changed = [Bool](repeating: false, count: senders.count)
            let busy = takeWork(&changed, &tally)
            let now = SystemClock.monotonic()
            for index in senders.indices where changed[index] || (due[index].map { $0 <= now } ?? false) {
                flush(index, at: now, &tally)
            }
            record(tally)
            if !busy { sleep() }
        }
    }

    /// - Returns: false when there was nothing; then `send` will signal.
    private mutating func takeWork(_ changed: inout [Bool], _ tally: inout SendTally) -> Bool {
        var work: [(Int, Intake.Work)] = []
        let busy = shared.intake.take { work.append(($0, $1)) }
        for (index, item) in work {
            changed[index] = true
            senders[index].add(
                item.messages, at: SystemClock.monotonic(), scratch: &scratch.writer, tally: &tally)
            guard item.peerIsThere else { continue }
            do throws(NanomsgSocket.Failure) {
                try senders[index].peerIsThere(at: SystemClock.monotonic())
            } catch {
                tally.failures.append("\(senders[index].peer): \(error)")
            }
        }
        return busy
    }

    private mutating func flush(_ index: Int, at now: MonotonicInstant, _ tally: inout SendTally) {
        let before = senders[index].backlog
        due[index] = senders[index].flush(shared.table, at: now, tally: &tally)
        if before > 0 || senders[index].backlog > 0 { shared.intake.setBacklog(senders[index].backlog, of: index) }
    }

    private mutating func sleep() {
        var entries = [pollfd(fd: shared.wake.descriptor, events: Int16(POLLIN), revents: 0)]
        let blocked = senders.indices.filter { senders[$0].blocked }
        for index in blocked { entries.append(pollfd(fd: senders[index].writable, events: Int16(POLLIN), revents: 0)) }
        let next = due.compactMap(\.self).min()
        let now = SystemClock.monotonic()
        wait(&entries, upTo: next.map { Int32(clamping: max(0, ($0 - now).milliseconds + 1)) } ?? -1)
        if entries[0].revents != 0 { shared.wake.clear() }
        for (index, entry) in zip(blocked, entries.dropFirst()) where entry.revents != 0 {
            senders[index].becameWritable()
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
