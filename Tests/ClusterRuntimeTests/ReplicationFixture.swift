import ClusterRuntime
import RegistrarEvents
import Testing

/// Choices by which every run of a seed is the same run.
extension SplitMix64 {
    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }

    mutating func happens(_ percent: Int) -> Bool { below(100) < percent }
}

enum ReplicationFixture {
    static let seeds: [UInt64] = [1, 2, 3, 4, 5, 6, 7, 8]

    /// A contact of account number `account`; every third account is a `user`.
    /// - Parameters:
    ///   - version: what a renewal changes.
    ///   - padding: bytes that make it larger.
    static func contact(_ account: Int, _ contact: Int, version: Int = 0, padding: Int = 0) throws -> PackedContact {
        let padding = String(repeating: "x", count: padding)
        let registration =
            account % 3 == 0
            ? Registration(
                account: "u\(account)", contact: "c\(contact)",
                user: UserDetails(sessionID: "s\(version)", app: "desk" + padding, caps: ["audio"], peerPort: 443))
            : Registration(
                account: "p\(account)", contact: "c\(contact)",
                sipuser: SIPUserDetails(
                    login: "p\(account)" + padding, contactURI: "sip:p\(account)@192.0.2.1", callID: "call",
                    cseq: UInt32(version)
                ))
        return try #require(PackedContact(registration))
    }

    static func account(_ account: Int) -> AccountID {
        account % 3 == 0 ? AccountID(.user, "u\(account)") : AccountID(.sipuser, "p\(account)")
    }

    static func domain() throws -> DomainName { try #require(DomainName("demo.example")) }

    /// An hour after the clock began, so that nothing is close to its zero.
    static func start(milliseconds: Int64 = 3_600_000) -> Moment { moment(milliseconds) }

    static func moment(_ milliseconds: Int64) -> Moment {
        Moment(
            monotonic: MonotonicInstant(nanoseconds: milliseconds * 1_000_000), wall: 1_700_000_000_000 + milliseconds)
    }
}
