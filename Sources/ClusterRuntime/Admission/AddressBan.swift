/// An address that is turned away for a while.
public struct AddressBan: Hashable, Sendable {
    /// As `NetworkOfAddress` writes it.
    public let network: String
    /// How much longer.
    public let rest: Duration
    /// Failures that led to it.
    public let failures: Int

    public init(network: String, rest: Duration, failures: Int) {
        self.network = network
        self.rest = rest
        self.failures = failures
    }
}
