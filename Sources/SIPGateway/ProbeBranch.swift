import SIP

/// The Via branch of a question to a device, by which its answer is known (RFC 3261 section 17.1.3).
struct ProbeBranch: Hashable, Sendable {
    private let number: UInt64

    private static let prefix = "z9hG4bKrollcall"

    init(number: UInt64) { self.number = number }

    /// One of the system's own random numbers: whoever could tell the next one from those it was sent could answer for
    /// another device.
    static func unguessable() -> ProbeBranch { ProbeBranch(number: .random(in: .min ... .max)) }

    /// - Returns: nil when it is not one of ours.
    init?(_ branch: SIPText) {
        let text = branch.string
        guard text.hasPrefix(Self.prefix), let number = UInt64(text.dropFirst(Self.prefix.count), radix: 16)
        else { return nil }
        self.init(number: number)
    }

    var text: String { Self.prefix + String(number, radix: 16) }
}
