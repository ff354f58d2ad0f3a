import SIP

/// A request that was read, and what its answer needs. An object, since it is handed on many times and a value of it
/// would be two dozen references to count each time.
final class IncomingRequest: Sendable {
    let message: SIPMessage
    let essentials: SIPEssentials
    let route: Route
    let transaction: TransactionTable.Key

    init(message: SIPMessage, essentials: SIPEssentials, route: Route) {
        transaction = TransactionTable.Key(message, essentials)
        self.message = message
        self.essentials = essentials
        self.route = route
    }
}
