import ClusterRuntime
import Synchronization

/// Keeps out addresses that guess passwords, scan, or send what is no SIP. Shared by all event loops.
///
/// What comes from a banned address is dropped without an answer, and so is a guess at an account that comes too soon
/// after a wrong one from the same network: the sender's own repetitions then slow it down, and nothing is kept of it
/// here. Others behind the same address translator are not slowed by it. A wrong password can be held against an
/// address, since its sender has seen a nonce that is good from there alone; the rest may be forged, so it takes many
/// more of them.
final class AddressGate: Sendable {
    private struct State {
        var passwords: AddressThrottle
        var nuisances: AddressThrottle
        /// By network and account.
        var guesses: AddressThrottle
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
                nuisances: throttle(limits.loginFailures * Self.nuisancesPerFailure),
                guesses: throttle(limits.loginFailures)))
    }

    /// Whether a message of the peer is looked at.
    func admits(_ peer: SIPPeer, at now: MonotonicInstant) -> Bool {
        guard isWatching.load(ordering: .relaxed) else { return true }
        return state.withLock { state in
            state.nuisances.ban(of: peer.network, at: now) == nil
                && state.passwords.ban(of: peer.network, at: now) == nil
        }
    }

    /// Whether the peer's credentials for an account are checked.
    func mayGuess(_ account: String, _ peer: SIPPeer, at now: MonotonicInstant) -> Bool {
        guard isWatching.load(ordering: .relaxed) else { return true }
        return state.withLock { $0.guesses.isDue(Self.guess(account, peer), at: now) }
    }

    /// A wrong password.
    func failed(_ account: String, _ peer: SIPPeer, at now: MonotonicInstant) {
        isWatching.store(true, ordering: .relaxed)
        state.withLock { state in
            state.passwords.failed(peer.network, at: now)
            state.guesses.failed(Self.guess(account, peer), at: now)
        }
    }

    /// Something that no phone sends: what cannot be read, or is for a domain that is not here.
    func annoyed(by peer: SIPPeer, at now: MonotonicInstant) {
        isWatching.store(true, ordering: .relaxed)
        state.withLock { $0.nuisances.failed(peer.network, at: now) }
    }

    /// Those that are banned, by name.
    func listed(at now: MonotonicInstant) -> [AddressBan] {
        state.withLock { state in
            var bans: [String: AddressBan] = [:]
            for ban in state.nuisances.listed(at: now) + state.passwords.listed(at: now) { bans[ban.network] = ban }
            return bans.values.sorted { $0.network < $1.network }
        }
    }

    /// - Returns: whether it was banned.
    func lift(_ network: String, at now: MonotonicInstant) -> Bool {
        state.withLock { state in
            let wasNuisance = state.nuisances.lift(network, at: now)
            return state.passwords.lift(network, at: now) || wasNuisance
        }
    }

    private static func guess(_ account: String, _ peer: SIPPeer) -> String { peer.network + " " + account }
}
