package import Digests
import Dispatch
import RegistrarEvents
import Synchronization

/// What is kept of a password.
package struct Credentials: Hashable, Sendable {
    /// Of users, and of sipusers that share it with others. Nil where `digest` is the verifier.
    package let password: PasswordHash?
    /// Only of single sipusers.
    package let digest: DigestHashes?

    /// - Returns: nil when nothing is left that a password could be checked by.
    package init?(password: PasswordHash?, digest: DigestHashes?) {
        guard password != nil || digest != nil else { return nil }
        self.password = password
        self.digest = digest
    }

    /// Hashes an account's password: a sipuser's for digest authentication alone.
    package init(of new: NewAccount, cost: PasswordHash.Cost) {
        switch new.account.kind {
        case .user:
            password = PasswordHash(of: new.password, cost: cost)
            digest = nil
        case .sipuser:
            password = nil
            digest = DigestHashes(name: new.account.name, realm: new.domain.rawValue, password: new.password)
        }
    }

    /// Hashes the accounts' passwords, on all cores, in their order.
    package static func of(_ accounts: [NewAccount], cost: PasswordHash.Cost) -> [Credentials] {
        let made = Mutex<[(start: Int, credentials: [Credentials])]>([])
        let share = max(1, min(256, accounts.count / 16))
        DispatchQueue.concurrentPerform(iterations: (accounts.count + share - 1) / share) { index in
            let start = index * share
            let part = accounts[start..<min(start + share, accounts.count)]
            let credentials = part.map { Credentials(of: $0, cost: cost) }
            made.withLock { $0.append((start, credentials)) }
        }
        return made.withLock { $0.sorted { $0.start < $1.start }.flatMap(\.credentials) }
    }
}

extension DigestLookup {
    package init(_ credentials: Credentials?, _ algorithm: DigestAlgorithm) {
        guard let credentials else {
            self = .noAccount
            return
        }
        self = credentials.digest?.hash(algorithm).map { .found($0) } ?? .withoutHash
    }
}
