import ClusterRuntime
import DequeModule
import Foundation
import Synchronization

/// Carries packets between the hosts of a drill and its clients, each of which has one port here, and does to them what
/// the links' faults ask for. Packets on one link keep their order.
///
/// One thread does all of it, in user space: the kernel's own means (netem) are missing in many kernels, and a proxy
/// for TCP would spare what is not TCP.
final class PacketSwitch: Sendable {
    /// Where packets to one address go.
    struct Port: Sendable {
        let device: TunDevice
        /// IPv4, in the order of the wire.
        let address: [UInt8]
        /// Nil for the clients.
        let host: Int?
    }

    private struct Held {
        var packet: [UInt8]
        var due: MonotonicInstant
    }

    let links: Mutex<LinkTable>
    private let ports: [Port]
    private let isStopped = Mutex(false)

    /// Most packets that are held back at one time, some 100 MB; what comes beyond is lost, as in a router.
    static let maximumHeld = 65_536
    /// How long it may take to notice that it is to stop.
    private static let longestWait: Duration = .milliseconds(50)
    /// Packets read of one port before the next one has its turn.
    private static let turn = 64
    private static let maximumPacket = 65_536

    /// - Parameter hosts: how many of the ports are hosts'.
    init(ports: [Port], hosts: Int) {
        self.ports = ports
        links = Mutex(LinkTable(hosts: hosts, seed: UInt64.random(in: 0 ... .max)))
    }

    /// Begins to carry packets, until `stop`.
    func start() {
        let thread = Thread { self.run() }
        thread.name = "packet switch"
        thread.start()
    }

    /// Ends the thread a moment later, which closes the devices.
    func stop() { isStopped.withLock { $0 = true } }

    private func run() {
        var polled = ports.map { pollfd(fd: $0.device.descriptor, events: Int16(POLLIN), revents: 0) }
        var buffer = [UInt8](repeating: 0, count: Self.maximumPacket)
        // By sender and receiver, so that each link keeps its order.
        var held = Array(repeating: Deque<Held>(), count: ports.count * ports.count)
        var heldCount = 0
        while !isStopped.withLock(\.self) {
            let wait = min(Self.longestWait, untilDue(held, heldCount))
            poll(&polled, nfds_t(polled.count), Int32(wait.milliseconds))
            for source in ports.indices where polled[source].revents != 0 {
                for _ in 0..<Self.turn {
                    let count = read(ports[source].device.descriptor, &buffer, buffer.count)
                    guard count > 0 else { break }
                    guard let target = target(of: buffer[..<count]), target != source else { continue }
                    switch links.withLock({ $0.verdict(from: ports[source].host, to: ports[target].host) }) {
                    case .drop: break
                    case .pass:
                        let link = source * ports.count + target
                        // What is held on a link that was mended meanwhile goes first.
                        guard let last = held[link].last else {
                            send(buffer[..<count], to: target)
                            break
                        }
                        heldCount += hold(buffer[..<count], until: last.due, in: &held[link], heldCount)
                    case .hold(let delay):
                        let link = source * ports.count + target
                        let due = SystemClock.monotonic() + delay
                        heldCount += hold(buffer[..<count], until: due, in: &held[link], heldCount)
                    }
                }
            }
            heldCount -= release(&held, heldCount)
        }
        for port in ports { port.device.close() }
    }

    private func hold(
        _ packet: ArraySlice<UInt8>, until due: MonotonicInstant, in queue: inout Deque<Held>, _ count: Int
    ) -> Int {
        guard count < Self.maximumHeld else { return 0 }
        queue.append(Held(packet: Array(packet), due: max(due, queue.last?.due ?? due)))
        return 1
    }

    /// - Returns: how many packets went.
    private func release(_ held: inout [Deque<Held>], _ count: Int) -> Int {
        guard count > 0 else { return 0 }
        let now = SystemClock.monotonic()
        var released = 0
        for link in held.indices {
            while let first = held[link].first, first.due <= now {
                send(first.packet[...], to: link % ports.count)
                held[link].removeFirst()
                released += 1
            }
        }
        return released
    }

    private func untilDue(_ held: [Deque<Held>], _ count: Int) -> Duration {
        guard count > 0, let due = held.lazy.compactMap(\.first?.due).min() else { return Self.longestWait }
        // Up to a millisecond late, which is what can be waited for.
        return max(.zero, due - SystemClock.monotonic() + .milliseconds(1))
    }

    private func send(_ packet: ArraySlice<UInt8>, to port: Int) {
        // A port that takes no more loses the packet, as a wire does.
        _ = packet.withUnsafeBytes { write(ports[port].device.descriptor, $0.baseAddress, $0.count) }
    }

    /// The port of a packet's receiver (RFC 791 section 3.1); nil for what is not IPv4 or goes elsewhere.
    private func target(of packet: ArraySlice<UInt8>) -> Int? {
        guard packet.count >= 20, packet[packet.startIndex] >> 4 == 4 else { return nil }
        let address = packet[(packet.startIndex + 16)..<(packet.startIndex + 20)]
        return ports.firstIndex { $0.address.elementsEqual(address) }
    }
}
