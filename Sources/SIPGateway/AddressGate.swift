import ClusterRuntime
import RegistrarEvents
import Synchronization

/// Keeps out addresses that guess passwords, scan, or send what is no SIP. Shared by all event loops.
///
/// What comes from a banned address is dropped without an answer, and so is a guess at an account that comes too soon
/// after a wrong one from the same network: the sender's own repetitions then slow it down, and nothing is kept of it
/// here. Others behind the same address translator are not slowed by it. A wrong password can be held against an
/// address, since its sender has seen a nonce that is good from there alone; the rest may be forged, so it takes many
/// more of them.
///
/// Behind one address there may be many devices, of which one guesses. So accounts that have proven themselves from a
/// network lately are listened to while it is banned, and networks that the topology names as shared are never banned:
/// there the accounts alone are guarded. A ban is not made longer by what is dropped for it.
final class AddressGate: Sendable {
    /// What is looked at.
    enum Admission {
        case everything
        /// Requests of known accounts.
        case knownAccounts
        case nothing
    }

    private struct State {
        var passwords: AddressThrottle
        var nuisances: AddressThrottle
        /// By network and account.
        var guesses: AddressThrottle
    }

    private let state: Mutex<State>
    /// Networks, and accounts of each, that have proven themselves.
    private let known: Mutex<Latest<Void>>
    private let shared: Set<String>
    /// Whether anybody was ever held something against: until then nobody waits for the lock.
    private let isWatching = Atomic<Bool>(false)

    /// Nuisances of an address for each wrong password that it may send. Own decision.
    private static let nuisancesPerFailure = 10

    /// How many networks and accounts that have proven themselves are remembered.
    private static let knownCapacity = 262_144

    /// - Parameter shared: networks that are not banned.
    init(limits: Limits, periods: Periods, shared: [String] = [], capacity: Int = 65_536) {
        self.shared = Set(shared)
        known = Mutex(Latest(capacity: Self.knownCapacity))
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

    /// What of the peer is looked at.
    func admission(of peer: SIPPeer, at now: MonotonicInstant) -> Admission {
        guard isWatching.load(ordering: .relaxed) else { return .everything }
        let isBanned = state.withLock { state in
            state.nuisances.ban(of: peer.network, at: now) != nil
                || state.passwords.ban(of: peer.network, at: now) != nil
        }
        guard isBanned else { return .everything }
        return known.withLock { $0[Self.key(peer)] } == nil ? .nothing : .knownAccounts
    }

    /// Whether an account has proven itself from the peer's network lately.
    func knows(_ account: String, of domain: DomainName, _ peer: SIPPeer) -> Bool {
        known.withLock { $0[Self.key(peer, account, domain)] } != nil
    }

    /// The right password.
    func succeeded(_ account: String, of domain: DomainName, _ peer: SIPPeer) {
        known.withLock { known in
            known.note((), Self.key(peer))
            known.note((), Self.key(peer, account, domain))
        }
    }

    /// Whether the peer's credentials for an account are checked. While its network is banned they are for known ones
    /// alone: what a request says in To does not tell whose credentials it has.
    func mayGuess(_ account: String, of domain: DomainName, _ peer: SIPPeer, at now: MonotonicInstant) -> Bool {
        guard isWatching.load(ordering: .relaxed) else { return true }
        guard admission(of: peer, at: now) == .everything || knows(account, of: domain, peer) else { return false }
        return state.withLock { $0.guesses.isDue(Self.guess(account, peer), at: now) }
    }

    /// A wrong password.
    func failed(_ account: String, _ peer: SIPPeer, at now: MonotonicInstant) {
        isWatching.store(true, ordering: .relaxed)
        state.withLock { state in
            if mayBeHeld(against: peer, state.passwords, at: now) { state.passwords.failed(peer.network, at: now) }
            state.guesses.failed(Self.guess(account, peer), at: now)
        }
    }

    /// Something that no phone sends: what cannot be read, or is for a domain that is not here.
    func annoyed(by peer: SIPPeer, at now: MonotonicInstant) {
        isWatching.store(true, ordering: .relaxed)
        state.withLock { state in
            if mayBeHeld(against: peer, state.nuisances, at: now) { state.nuisances.failed(peer.network, at: now) }
        }
    }

    private func mayBeHeld(against peer: SIPPeer, _ throttle: AddressThrottle, at now: MonotonicInstant) -> Bool {
        !shared.contains(peer.network) && throttle.ban(of: peer.network, at: now) == nil
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

    private static func key(_ peer: SIPPeer, _ account: String = "", _ domain: DomainName? = nil) -> Int {
        var hasher = Hasher()
        hasher.combine(peer.network)
        hasher.combine(ExactText(account))
        hasher.combine(domain)
        return hasher.finalize()
    }

    private static func guess(_ account: String, _ peer: SIPPeer) -> String { peer.network + " " + account }
}
