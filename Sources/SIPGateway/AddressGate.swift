import ClusterRuntime
import Synchronization

/// Keeps out addresses that guess passwords, scan, or send what is no SIP. Shared by all event loops.
///
/// A message that comes too soon after a wrong password, or from a banned address, is dropped without an answer: the
/// sender's own repetitions then slow it down, and nothing is kept of it here. A wrong password can be held against an
/// address, since its sender has seen the nonce that was sent there; the rest may be forged, so it takes many more of
/// them.
final class AddressGate: Sendable {
    private struct State {
        var passwords: AddressThrottle
        var nuisances: AddressThrottle
    }

    private let state: Mutex<State>
    /// Whether anybody was ever held something against: until then nobody waits for the lock.
    private let isWatching = Atomic<Bool>(false)

    /// Nuisances of an address for each wrong password that it may send. Own decision.
    private static let nuisancesPerFailure = 10

    init(limits: Limits, periods: Periods, capacity: Int = 65_536) {
        func throttle(_ failures: Int) -> AddressThrottle {
            AddressThrottle(
                maximumFailures: failures, window: periods.loginWindow, ban: periods.loginBan, capacity: capacity)
        }
        state = Mutex(
            State(
                passwords: throttle(limits.loginFailures),
                nuisances: throttle(limits.loginFailures * Self.nuisancesPerFailure)))
    }

    func admits(_ peer: SIPPeer, at now: MonotonicInstant) -> Bool {
        guard isWatching.load(ordering: .relaxed) else { return true }
        return state.withLock { state in
            guard state.nuisances.ban(of: peer.network, at: now) == nil else { return false }
            switch state.passwords.admit(peer.network, at: now) {
            case .check(let delay): return delay == .zero
            case .banned: return false
            }
        }
    }

    /// A wrong password.
    func failed(_ peer: SIPPeer, at now: MonotonicInstant) {
        isWatching.store(true, ordering: .relaxed)
        state.withLock { $0.passwords.failed(peer.network, at: now) }
    }

    /// Something that no phone sends: what cannot be read, or is for a domain that is not here.
    func annoyed(by peer: SIPPeer, at now: MonotonicInstant) {
        isWatching.store(true, ordering: .relaxed)
        state.withLock { $0.nuisances.failed(peer.network, at: now) }
    }
}
