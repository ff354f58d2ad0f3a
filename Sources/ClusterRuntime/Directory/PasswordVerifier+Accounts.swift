package import RegistrarEvents

extension PasswordVerifier {
    /// Checks a password against an account's credentials, or against a decoy's when it has none.
    ///
    /// A sipuser is checked by its digest hashes, at once: they are no slower to guess at for being hashed slowly
    /// as well.
    package func verify(
        _ password: String, for domain: DomainName, _ account: AccountID, _ credentials: Credentials?,
        cost: PasswordHash.Cost
    ) async -> PasswordVerdict {
        let hash = credentials?.password
        switch account.kind {
        case .sipuser where credentials?.digest != nil || hash == nil:
            guard password.utf8.count <= NewAccount.maximumPasswordLength else { return .refused }
            let digest = credentials?.digest ?? Self.decoyDigest
            let matches = digest.matches(name: account.name, realm: domain.rawValue, password: password)
            return matches && credentials != nil ? .accepted : .refused
        case .sipuser, .user:
            let decoyName = "\(account.kind.name)/\(account.name)@\(domain)"
            return await verify(password, against: hash ?? decoy(for: decoyName, cost: cost))
        }
    }

    private static let decoyDigest = DigestHashes(name: "decoy", realm: "unknown.invalid", password: "")
}
