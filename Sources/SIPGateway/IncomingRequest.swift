import SIP

/// A request that was read, and what its answer needs. An object, since it is handed on many times and a value of it
/// would be two dozen references to count each time.
final class IncomingRequest: Sendable {
    let message: SIPMessage
    let essentials: SIPEssentials
    let route: Route
    let transaction: TransactionTable.Key

    init(message: SIPMessage, essentials: SIPEssentials, route: Route) {
        transaction = TransactionTable.Key(message, essentials, from: route.peer)
        self.message = message
        self.essentials = essentials
        self.route = route
    }

    /// The tag of To in answers: the same for every answer to the request, as RFC 3261 section 8.2.7 wants it of those
    /// that remember nothing, and one that nobody else can know (section 19.3), as its key is hashed with a secret.
    var localTag: String { String(transaction.low, radix: 36) }
}
