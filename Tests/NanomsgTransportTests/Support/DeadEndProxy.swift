import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Carries TCP connections to a port of this machine, until they become dead ends: what is written to those is taken
/// and goes nowhere, and nobody ends them. So does a machine that has lost its power, or a link that was cut. Later
/// connections get through.
final class DeadEndProxy: Sendable {
    let port: UInt16
    private let target: UInt16
    private let listener: Int32
    /// Counts the calls of `cut`; a connection of an earlier count is a dead end.
    private let cuts = Atomic<Int>(0)

    /// - Parameter target: where connections lead, once something listens there.
    init(to target: UInt16) {
        self.target = target
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        port = freePort()
        precondition(Self.with(port) { bind(listener, $0, $1) } == 0 && listen(listener, 64) == 0)
        Thread { self.accept() }.start()
    }

    /// All connections that stand are dead ends from now on.
    func cut() { cuts.add(1, ordering: .sequentiallyConsistent) }

    /// Takes no more connections. Those that stand go on until either end closes them.
    func close() { shutdown(listener, Int32(SHUT_RDWR)) }

    private func accept() {
        while true {
            let client = Glibc.accept(listener, nil, nil)
            guard client >= 0 else { break }
            let count = cuts.load(ordering: .sequentiallyConsistent)
            let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            guard Self.with(target, { connect(server, $0, $1) }) == 0 else {
                Glibc.close(server)
                Glibc.close(client)
                continue
            }
            Thread { self.carry(from: client, to: server, count) }.start()
            Thread { self.carry(from: server, to: client, count) }.start()
        }
        Glibc.close(listener)
    }

    private func carry(from source: Int32, to sink: Int32, _ count: Int) {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let read = recv(source, &buffer, buffer.count, 0)
            let isDeadEnd = cuts.load(ordering: .sequentiallyConsistent) != count
            guard read > 0 else {
                if !isDeadEnd { shutdown(sink, Int32(SHUT_WR)) }
                // The descriptors of a test's few connections are left to the end of its process: the other direction
                // may still use them.
                return
            }
            guard !isDeadEnd else { continue }
            var sent = 0
            while sent < read {
                let count = buffer.withUnsafeBytes {
                    send(sink, $0.baseAddress?.advanced(by: sent), read - sent, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { return }
                sent += count
            }
        }
    }

    private static func with(
        _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = loopback(port: port)
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }
}
