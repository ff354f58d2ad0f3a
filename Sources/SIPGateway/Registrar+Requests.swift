import ClusterRuntime
import RegistrarEvents
import SIP

/// Requests, up to the question to the owner. The order of the checks is that of RFC 3261 sections 8.2 and 10.3.
extension Registrar {
    mutating func request(
        _ request: IncomingRequest, at now: Moment, _ out: inout Outbox
    ) {
        // An ACK ends a transaction that has not been kept, and is never answered.
        guard request.message.method != .ack else { return }
        let (key, route) = (request.transaction, request.route)
        if !route.isReliable {
            switch transactions.begin(key, at: now.monotonic) {
            case .new where isLeaving:
                transactions.drop(key)
                return counters.leftToRepeat.count()
            case .new: break
            case .repetition(let answer):
                counters.repetitions.count()
                if let answer { out.answers.append((answer, route.answering(request.essentials.via))) }
                return
            }
        } else if isLeaving {
            return counters.leftToRepeat.count()
        }
        switch request.message.method {
        case .register:
            counters.registers.count()
            register(request, at: now, &out)
        case .subscribe:
            counters.subscribes.count()
            subscribe(request, at: now, &out)
        case .options:
            counters.otherRequests.count()
            options(request, at: now, &out)
        default:
            counters.otherRequests.count()
            refuse(request, otherMethod(request.message), at: now, &out)
        }
    }

    private mutating func register(_ request: IncomingRequest, at now: Moment, _ out: inout Outbox) {
        do throws(SIPRefusal) {
            let domain = try domain(of: request.message)
            try checkExtensions(request.message)
            guard let login = try login(request, method: "REGISTER", domain, at: now, &out) else { return }
            let account = try account(request.essentials, domain, login: login)
            let context = RegisterContext(
                request: request, domain: domain, account: account, login: login ?? account, gruus: settings.gruus,
                callID: request.essentials.callID.string)
            let register = try RegisterRequest(context, &random)
            try checkAnswer(to: request, register, at: now)
            ask(Waiting(request: request, register: register), at: now, &out)
        } catch {
            if error.status == 404 { notFound(request, at: now) }
            refuse(request, error, at: now, &out)
        }
    }

    /// RFC 3261 section 10.3, step 1. A registrar is asked at its domain, without a user.
    private func domain(of message: SIPMessage) throws(SIPRefusal) -> DomainSpec {
        try spec(of: target(of: message))
    }

    /// RFC 3261 section 8.2.2.1.
    func target(of message: SIPMessage) throws(SIPRefusal) -> SIPURI {
        guard let target = message.requestURI else { preconditionFailure("a request without a target") }
        let uri = try SIPRefusal.reading { () throws(SIPParseError) in try SIPURI(parsing: target) }
        guard uri.isSIP else { throw SIPRefusal(status: 416) }
        return uri
    }

    /// RFC 3261 section 8.2.1 looks at the method first; but what asks for nothing that could be named is no request.
    private func otherMethod(_ message: SIPMessage) -> SIPRefusal {
        do throws(SIPRefusal) {
            _ = try target(of: message)
            return .methodNotAllowed
        } catch { return error.status == 416 ? .methodNotAllowed : error }
    }

    func spec(of uri: SIPURI) throws(SIPRefusal) -> DomainSpec {
        guard let name = DomainName(uri.host.string), let spec = settings.domains[name] else { throw .unknownDomain }
        return spec
    }

    /// Step 2, and section 8.2.2.3.
    func checkExtensions(_ message: SIPMessage) throws(SIPRefusal) {
        guard message.has(.require) else { return }
        let required = try SIPRefusal.reading { () throws(SIPParseError) in try OptionTags(message, .require) }
        let unknown = required.others(than: SIPCapabilities.extensions)
        guard unknown.isEmpty else {
            throw SIPRefusal(
                status: 420, headers: [("Unsupported", unknown.map(\.string).joined(separator: ", "))])
        }
    }

    /// Step 3: who it is.
    /// - Returns: nil when a challenge was sent; within, nil when anybody may be anybody.
    mutating func login(
        _ request: IncomingRequest, method: StaticString, _ domain: DomainSpec, at now: Moment, _ out: inout Outbox
    ) throws(SIPRefusal) -> String?? {
        guard let authenticator else { return .some(nil) }
        let peer = request.route.peer
        let verdict = authenticator.check(
            request.message, method: method, domain: domain, network: peer.network, at: now
        ) { account in
            gate.mayGuess(account, of: domain.name, peer, at: now.monotonic)
        }
        switch verdict {
        case .accepted(let login):
            gate.succeeded(login, of: domain.name, peer)
            return login
        case .malformed(let reason):
            gate.annoyed(by: request.route.peer, at: now.monotonic)
            throw .badRequest("Bad Request (\(reason))")
        case .tooSoon:
            counters.banned.count()
            if !request.route.isReliable { transactions.drop(request.transaction) }
        case .wrong(let login):
            counters.wrongPasswords.count()
            gate.failed(login, request.route.peer, at: now.monotonic)
            challenge(request, domain, stale: false, at: now, &out)
        case .unavailable: throw .unavailable(after: retryAfter())
        case .challenge(let stale): challenge(request, domain, stale: stale, at: now, &out)
        }
        return nil
    }

    private mutating func challenge(
        _ request: IncomingRequest, _ domain: DomainSpec, stale: Bool, at now: Moment, _ out: inout Outbox
    ) {
        guard let authenticator else { return }
        counters.challenges.count()
        let challenges = authenticator.challenges(
            domain: domain, network: request.route.peer.network, stale: stale, at: now)
        // A lost challenge is made anew: there is nothing to be remembered of it.
        if !request.route.isReliable { transactions.drop(request.transaction) }
        var writer = writer(401, request)
        for challenge in challenges { writer.header("WWW-Authenticate", challenge) }
        out.answers.append((writer.finish(), request.route.answering(request.essentials.via)))
    }

    /// Steps 4 and 5: the account in To, which nobody but itself changes.
    private func account(
        _ essentials: SIPEssentials, _ domain: DomainSpec, login: String?
    ) throws(SIPRefusal) -> String {
        let uri = essentials.to.uri
        // RFC 4475 section 3.3.4: an address of record is a SIP URI.
        guard uri.isSIP else { throw .badRequest("Bad Request (To is no SIP URI)") }
        guard try spec(of: uri).name == domain.name, let account = uri.decodedUser, !account.isEmpty else {
            throw SIPRefusal(status: 404)
        }
        guard login.map({ ExactText($0) == ExactText(account) }) ?? true else { throw SIPRefusal(status: 403) }
        guard account.utf8.count <= NewAccount.maximumNameLength else { throw SIPRefusal(status: 404) }
        return account
    }

    /// RFC 3261 section 11.2: what a call could do, and that the gateway lives.
    private mutating func options(_ request: IncomingRequest, at now: Moment, _ out: inout Outbox) {
        do throws(SIPRefusal) {
            _ = try target(of: request.message)
            try checkExtensions(request.message)
            var writer = writer(200, request)
            writer.header("Allow", SIPCapabilities.allow)
            writer.header("Allow-Events", SIPCapabilities.events)
            writer.header("Supported", SIPCapabilities.supported)
            writer.header("Accept", "application/sdp")
            finish(request, consume writer, at: now, &out)
        } catch {
            refuse(request, error, at: now, &out)
        }
    }
}
