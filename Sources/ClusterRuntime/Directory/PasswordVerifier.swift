import Crypto
import Dispatch
import Synchronization

/// Checks passwords on one thread of its own, so that hashing takes neither an event loop nor more than one
/// core, and remembers which were right, so that ten thousand clients coming back cost ten thousand HMACs and
/// not as many scrypts.
///
/// Equal checks that are waiting at the same time are one check. What is remembered is a MAC under a key of
/// this process alone, over the hash and the password: useless elsewhere, and void when the account's hash
/// changes.
package final class PasswordVerifier: Sendable {
    private struct State {
        /// The checks that succeeded, and in which order, to forget the oldest.
        var proven: Set<[UInt8]> = []
        var order: [[UInt8]] = []
        var oldest = 0
        var waiting: [[UInt8]: [CheckedContinuation<PasswordVerdict, Never>]] = [:]
        /// Grows with each `forget`, so that a check begun before does not add to what is remembered after.
        var generation = 0
    }

    private let queue = DispatchQueue(label: "rollcall.passwords", qos: .utility)
    private let processKey = SymmetricKey(size: .bits256)
    private let pendingLimit: Int
    private let provenLimit: Int
    private let state = Mutex(State())

    /// - Parameter limits: `pendingLogins` and `provenPasswords` are used.
    package init(limits: Limits) {
        pendingLimit = limits.pendingLogins
        provenLimit = limits.provenPasswords
    }

    func verify(_ password: String, against hash: PasswordHash) async -> PasswordVerdict {
        guard password.utf8.count <= NewAccount.maximumPasswordLength else { return .refused }
        let key = mac("proven", hash.description, password)
        return await withCheckedContinuation { continuation in
            start(password, hash, key: key, continuation)
        }
    }

    /// A hash that no password matches, always the same for a name: what an unknown account is checked
    /// against.
    func decoy(for name: String, cost: PasswordHash.Cost) -> PasswordHash {
        let salt = Array(mac("decoy salt", name, "").prefix(PasswordHash.saltLength))
        return PasswordHash(cost: cost, salt: salt, digest: mac("decoy digest", name, ""))
    }

    /// Forgets what was proven: after a reload every password is hashed once more.
    package func forget() {
        state.withLock { state in
            state.proven = []
            state.order = []
            state.oldest = 0
            state.generation += 1
        }
    }

    private func start(
        _ password: String, _ hash: PasswordHash, key: [UInt8],
        _ continuation: CheckedContinuation<PasswordVerdict, Never>
    ) {
        enum Next {
            case answer(PasswordVerdict)
            case hash(generation: Int)
            case wait
        }
        let next: Next = state.withLock { state in
            if state.proven.contains(key) { return .answer(.accepted) }
            if state.waiting[key] != nil {
                state.waiting[key]?.append(continuation)
                return .wait
            }
            guard state.waiting.count < pendingLimit else { return .answer(.overloaded) }
            state.waiting[key] = [continuation]
            return .hash(generation: state.generation)
        }
        switch next {
        case .answer(let verdict): continuation.resume(returning: verdict)
        case .wait: break
        case .hash(let generation):
            queue.async { [self] in
                finish(key, hash.matches(password) ? .accepted : .refused, generation: generation)
            }
        }
    }

    private func finish(_ key: [UInt8], _ verdict: PasswordVerdict, generation: Int) {
        let waiting = state.withLock { state in
            if verdict == .accepted, state.generation == generation { remember(key, in: &state) }
            return state.waiting.removeValue(forKey: key) ?? []
        }
        for continuation in waiting { continuation.resume(returning: verdict) }
    }

    private func remember(_ key: [UInt8], in state: inout State) {
        guard provenLimit > 0, state.proven.insert(key).inserted else { return }
        if state.order.count < provenLimit {
            state.order.append(key)
        } else {
            state.proven.remove(state.order[state.oldest])
            state.order[state.oldest] = key
            state.oldest = (state.oldest + 1) % provenLimit
        }
    }

    private func mac(_ purpose: String, _ first: String, _ second: String) -> [UInt8] {
        // No part can hold a NUL that matters: the first two are ours, and the last runs to the end.
        Array(
            HMAC<SHA256>.authenticationCode(
                for: Array("\(purpose)\0\(first)\0\(second)".utf8), using: processKey))
    }
}
