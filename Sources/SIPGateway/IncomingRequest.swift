import SIP

/// A request that was read, and what its answer needs.
struct IncomingRequest {
    let message: SIPMessage
    let essentials: SIPEssentials
    let route: Route
    let transaction: TransactionTable.Key
}
