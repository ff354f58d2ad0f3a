import ClusterRuntime
import RegistrarEvents
import SIP

/// Answers, and the memory of them.
extension Registrar {
    func writer(_ status: Int, reason: String? = nil, _ request: IncomingRequest) -> ResponseWriter {
        writer(status, reason: reason, request.message, request.essentials, request.route, request.transaction)
    }

    private func writer(
        _ status: Int, reason: String? = nil, _ message: SIPMessage, _ essentials: SIPEssentials, _ route: Route,
        _ transaction: TransactionTable.Key
    ) -> ResponseWriter {
        // RFC 3261 section 18.2.1, RFC 3581 section 4.
        let via = essentials.via
        let asksForPort = via.rport != .absent
        let isSomewhereElse = via.sentByHost.string != route.peer.address
        return ResponseWriter(
            status, reason: reason, to: message, read: essentials,
            received: asksForPort || isSomewhereElse ? route.peer.address : nil,
            rport: asksForPort ? route.peer.port : nil,
            // The same for every answer to the request, as section 8.2.7 wants it of those that remember nothing.
            toTag: String(transaction.low, radix: 36))
    }

    mutating func accept(_ waiting: Waiting, _ contacts: [LiveContact], at now: Moment, _ out: inout Outbox) {
        counters.accepted.count()
        var writer = writer(200, waiting.message, waiting.essentials, waiting.route, waiting.transaction)
        RegisterAnswer(
            register: waiting.register, contacts: contacts, now: now, serviceRoute: settings.listen.serviceRoute
        ).write(into: &writer)
        complete(waiting.transaction, writer.finish(), waiting.essentials.via, waiting.route, at: now, &out)
    }

    mutating func answer(_ waiting: Waiting, refusal: SIPRefusal, at now: Moment, _ out: inout Outbox) {
        let writer = writer(
            refusal.status, reason: refusal.reason, waiting.message, waiting.essentials, waiting.route,
            waiting.transaction)
        complete(
            waiting.transaction, refused(refusal, writer).finish(), waiting.essentials.via, waiting.route, at: now, &out
        )
    }

    mutating func refuse(_ request: IncomingRequest, _ refusal: SIPRefusal, at now: Moment, _ out: inout Outbox) {
        let writer = writer(refusal.status, reason: refusal.reason, request)
        finish(request, refused(refusal, writer), at: now, &out)
    }

    mutating func finish(
        _ request: IncomingRequest, _ writer: ResponseWriter, at now: Moment, _ out: inout Outbox
    ) {
        complete(request.transaction, writer.finish(), request.essentials.via, request.route, at: now, &out)
    }

    private func refused(_ refusal: SIPRefusal, _ writer: ResponseWriter) -> ResponseWriter {
        counters.refused.count()
        if refusal.status == 503 { counters.unavailable.count() }
        var writer = writer
        for (name, value) in refusal.headers { writer.header(name, value) }
        return writer
    }

    private mutating func complete(
        _ transaction: TransactionTable.Key, _ answer: [UInt8], _ via: Via, _ route: Route, at now: Moment,
        _ out: inout Outbox
    ) {
        if !route.isReliable { transactions.complete(transaction, answer, at: now.monotonic) }
        out.answers.append((answer, route.answering(via)))
    }

    /// What cannot be read is answered as far as it can be, and not remembered.
    func refuseMalformed(
        _ message: SIPMessage, _ error: SIPParseError, _ route: Route, _ out: inout Outbox
    ) {
        guard let method = message.method, method != .ack, let text = message.first(.via) else { return }
        counters.refused.count()
        // Without a Via that can be read, the answer goes to where the request came from.
        let via = try? Via(parsing: text)
        var writer = ResponseWriter(
            error.status, reason: error.reason, to: message, received: route.peer.address,
            rport: via.map { $0.rport != .absent } == true ? route.peer.port : nil, toTag: "malformed")
        if error.status == 405 { writer.header("Allow", SIPCapabilities.allow) }
        out.answers.append((writer.finish(), via.map(route.answering) ?? route))
    }
}
