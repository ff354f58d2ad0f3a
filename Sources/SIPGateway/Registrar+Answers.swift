import ClusterRuntime
import RegistrarEvents
import SIP

/// Answers, and the memory of them.
extension Registrar {
    func writer(
        _ status: Int, reason: String? = nil, _ request: IncomingRequest, room: Int = 128
    ) -> ResponseWriter {
        // RFC 3261 section 18.2.1, RFC 3581 section 4.
        let via = request.essentials.via
        let peer = request.route.peer
        let asksForPort = via.rport != .absent
        return ResponseWriter(
            status, reason: reason, to: request.message, read: request.essentials,
            received: asksForPort || via.sentByHost.string != peer.address ? peer.address : nil,
            rport: asksForPort ? peer.port : nil,
            toTag: request.localTag, room: room)
    }

    mutating func accept(_ waiting: Waiting, _ contacts: [LiveContact], at now: Moment, _ out: inout Outbox) {
        counters.accepted.count()
        let answer = RegisterAnswer(
            register: waiting.register, contacts: contacts, now: now, serviceRoute: settings.listen.serviceRoute)
        var writer = writer(200, waiting.request, room: answer.room)
        answer.write(into: &writer)
        finish(waiting.request, consume writer, at: now, &out)
    }

    mutating func answer(_ waiting: Waiting, refusal: SIPRefusal, at now: Moment, _ out: inout Outbox) {
        refuse(waiting.request, refusal, at: now, &out)
    }

    mutating func refuse(_ request: IncomingRequest, _ refusal: SIPRefusal, at now: Moment, _ out: inout Outbox) {
        finish(
            request, refused(refusal, writer(refusal.status, reason: refusal.reason, request)), at: now, &out)
    }

    mutating func finish(
        _ request: IncomingRequest, _ writer: consuming ResponseWriter, at now: Moment, _ out: inout Outbox
    ) {
        let answer = writer.finish()
        if !request.route.isReliable { transactions.complete(request.transaction, answer, at: now.monotonic) }
        out.answers.append((answer, request.route.answering(request.essentials.via)))
    }

    private func refused(_ refusal: SIPRefusal, _ writer: consuming ResponseWriter) -> ResponseWriter {
        counters.refused.count()
        if refusal.status == 503 { counters.unavailable.count() }
        for (name, value) in refusal.headers { writer.header(name, value) }
        return writer
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
