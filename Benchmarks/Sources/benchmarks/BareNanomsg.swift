import CNanomsg
import Foundation
import Glibc

/// The limit of the transport: PUSH and PULL sockets that carry bytes nobody looks into.
struct BareNanomsg {
    private let inbox: Int32
    private let outbox: Int32

    private static let buffer: Int32 = 1 << 20
    private static let framesUnderWay = 64

    private init(listen: UInt16, connect: UInt16) {
        inbox = nn_socket(AF_SP, ROLLCALL_NN_PULL)
        outbox = nn_socket(AF_SP, ROLLCALL_NN_PUSH)
        var size = Self.buffer
        var limit: Int32 = -1
        nn_setsockopt(inbox, NN_SOL_SOCKET, NN_RCVBUF, &size, MemoryLayout<Int32>.size)
        nn_setsockopt(inbox, NN_SOL_SOCKET, NN_RCVMAXSIZE, &limit, MemoryLayout<Int32>.size)
        nn_setsockopt(outbox, NN_SOL_SOCKET, NN_SNDBUF, &size, MemoryLayout<Int32>.size)
        precondition(nn_bind(inbox, "tcp://127.0.0.1:\(listen)") >= 0, "port \(listen) is taken")
        precondition(nn_connect(outbox, "tcp://127.0.0.1:\(connect)") >= 0, "cannot connect to \(connect)")
    }

    private func send(_ frame: [UInt8]) {
        let sent = frame.withUnsafeBytes { nn_send(outbox, $0.baseAddress, $0.count, 0) }
        precondition(sent == frame.count, "nn_send: \(String(cString: nn_strerror(nn_errno())))")
    }

    private func receive() {
        var message: UnsafeMutableRawPointer?
        let count = nn_recv(inbox, &message, ROLLCALL_NN_MSG, 0)
        precondition(count >= 0, "nn_recv: \(String(cString: nn_strerror(nn_errno())))")
        nn_freemsg(message)
    }

    /// The child: one byte back for each frame, for ever.
    static func answer(at listen: UInt16, to connect: UInt16) throws {
        let sockets = BareNanomsg(listen: listen, connect: connect)
        let answer: [UInt8] = [1]
        while true {
            sockets.receive()
            sockets.send(answer)
        }
    }

    /// - Parameter small: the frame of a round trip.
    /// - Returns: figures by frame.
    static func measure(frame: [UInt8], frames: Int, small: [UInt8], rounds: Int) throws -> TransportResult {
        let (portA, portB) = (freePort(), freePort())
        let child = try ChildProcess(["transport-peer", "bare", String(portA), String(portB)])
        defer { child.stop() }
        let sockets = BareNanomsg(listen: portA, connect: portB)
        defer {
            nn_close(sockets.inbox)
            nn_close(sockets.outbox)
        }
        // Waits until both connections stand.
        sockets.send(small)
        sockets.receive()
        var result = TransportResult()
        for _ in 0..<rounds {
            let start = (Measuring.wall(), Measuring.processCPU() + child.cpuTime)
            var answered = 0
            for sent in 0..<frames {
                if sent - answered >= framesUnderWay {
                    sockets.receive()
                    answered += 1
                }
                sockets.send(frame)
            }
            while answered < frames {
                sockets.receive()
                answered += 1
            }
            result.perSecond.add(Double(frames) / Double(Measuring.wall() - start.0) * 1e9)
            result.cpu.add(Double(Measuring.processCPU() + child.cpuTime - start.1) / Double(frames))
        }
        for _ in 0..<5_000 {
            let start = Measuring.wall()
            sockets.send(small)
            sockets.receive()
            result.roundTrips.add(Double(Measuring.wall() - start))
        }
        return result
    }
}
