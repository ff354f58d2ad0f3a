import CNanomsg
import Glibc

/// Wakes a thread that waits in poll(2). Source: eventfd(2).
final class WakeSignal: Sendable {
    let descriptor: Int32

    init() {
        descriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        precondition(descriptor >= 0, "no descriptor left for an eventfd")
    }

    deinit { close(descriptor) }

    func signal() { _ = eventfd_write(descriptor, 1) }

    func clear() {
        var value: eventfd_t = 0
        _ = eventfd_read(descriptor, &value)
    }
}

/// Waits until one of the descriptors is readable (or, for `POLLOUT` entries, writable).
func wait(_ entries: inout [pollfd], upTo milliseconds: Int32) {
    // A signal that interrupts the wait is as good as a timeout: callers look again at what they waited for.
    _ = poll(&entries, nfds_t(entries.count), milliseconds)
}
