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
        if !waiting.register.wishes.isEmpty {
            flows.granted(waiting.origin, isReliable: waiting.request.route.isReliable)
        }
        let answer = answer(to: waiting.request, waiting.register, contacts, at: now)
        guard waiting.request.route.takes(answer) else {
            counters.tooLarge.count()
            return refuse(waiting.request, .answerTooLarge, at: now, &out)
        }
        counters.accepted.count()
        granted(waiting.request, &out)
        finish(waiting.request, answer, at: now, &out)
    }

    func granted(_ request: IncomingRequest, _ out: inout Outbox) {
        if case .stream(let number) = request.route.way { out.granted.append(number) }
    }

    /// Nothing is asked of the owner when what the request registers makes an answer already that no datagram holds.
    /// What else the account has is known only afterwards.
    func checkAnswer(to request: IncomingRequest, _ register: RegisterRequest, at now: Moment) throws(SIPRefusal) {
        guard !request.route.isReliable, request.message.bytes.count > Self.harmlessRequest else { return }
        let contacts = register.wishes.map { LiveContact(contact: $0.contact, ttl: 0) }
        guard request.route.takes(answer(to: request, register, contacts, at: now)) else {
            counters.tooLarge.count()
            throw .answerTooLarge
        }
    }

    /// The contacts of a smaller request fit into a datagram: beside what stands in the request, an answer has at most
    /// 2.5 KiB more for each of 16.
    private static let harmlessRequest = 16 << 10

    private func answer(
        to request: IncomingRequest, _ register: RegisterRequest, _ contacts: [LiveContact], at now: Moment
    ) -> [UInt8] {
        let answer = RegisterAnswer(
            register: register, contacts: contacts, now: now, serviceRoute: settings.listen.serviceRoute)
        var writer = writer(200, request, room: answer.room)
        answer.write(into: &writer)
        return writer.finish()
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
        finish(request, writer.finish(), at: now, &out)
    }

    private mutating func finish(
        _ request: IncomingRequest, _ answer: [UInt8], at now: Moment, _ out: inout Outbox
    ) {
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
