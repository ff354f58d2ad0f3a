import ClusterRuntime
import RegistrarEvents
import SIP
import Synchronization

/// SUBSCRIBE, up to the watchers of the domain, and from their word on; and the responses to NOTIFY.
///
/// Sources: RFC 6665 section 4.2, RFC 3680 section 4.
extension Registrar {
    mutating func subscribe(_ request: IncomingRequest, at now: Moment, _ out: inout Outbox) {
        do throws(SIPRefusal) {
            let domain = try domain(toWatch: request)
            try checkExtensions(request.message)
            let eventID = try Self.eventID(request.message)
            guard let login = try login(request, method: "SUBSCRIBE", domain, at: now, &out) else { return }
            let watch = try watch(request, domain.name, login: login, eventID: eventID)
            guard watchesWaiting < settings.limits.parkedRequests else {
                throw .unavailable(after: retryAfter())
            }
            if case .stream(let number) = request.route.way { watchedOver[number, default: []].insert(domain.name) }
            watchesWaiting += 1
            out.watches.append(watch)
        } catch {
            if error.status == 404 { notFound(request, at: now) }
            refuse(request, error, at: now, &out)
        }
    }

    /// What became of a request that was handed over.
    mutating func watched(_ watch: WatchRequest, _ answer: WatchAnswer, at now: Moment, _ out: inout Outbox) {
        watchesWaiting -= 1
        switch answer {
        case .refused(let refusal): refuse(watch.request, refusal, at: now, &out)
        case .accepted:
            var writer = writer(200, watch.request)
            // RFC 3261 section 12.1.1.
            for route in watch.request.message.all(.recordRoute) { writer.header("Record-Route", route) }
            writer.header("Contact", "<\(watch.way.contact)>")
            writer.header("Expires", watch.expires)
            writer.header("Allow-Events", SIPCapabilities.events)
            granted(watch.request, &out)
            finish(watch.request, writer, at: now, &out)
        }
    }

    /// A response to a NOTIFY. Whose it is the branch tells, and From the domain, as it was ours.
    func notifyAnswered(_ branch: NotifyBranch, _ message: SIPMessage, status: Int, _ out: inout Outbox) {
        // A response that cannot be read is none to us.
        guard let text = message.first(.from), let from = try? NameAddress(parsing: text),
            let domain = DomainName(from.uri.host.string)
        else { return }
        // It may go on with a comment or a parameter (RFC 3261 section 20.33).
        let digits = message.first(.retryAfter)?.string.prefix { $0.isWholeNumber }
        let answer = NotifyAnswer(branch: branch, status: status, retryAfter: digits.flatMap { UInt32($0) })
        out.notifyAnswers.append((answer, domain))
    }

    // MARK: What is asked

    /// A dialog is known by To, whose domain the Request-URI does not name; all others ask for what that names.
    private func domain(toWatch request: IncomingRequest) throws(SIPRefusal) -> DomainSpec {
        let asked = try target(of: request.message)
        let to = request.essentials.to
        guard to.tag == nil else {
            do throws(SIPRefusal) { return try spec(of: to.uri) } catch { throw .noSubscription }
        }
        let domain = try spec(of: asked)
        guard try spec(of: to.uri).name == domain.name else { throw .unknownDomain }
        return domain
    }

    /// RFC 6665 section 4.2.1.1.
    private static func eventID(_ message: SIPMessage) throws(SIPRefusal) -> String? {
        guard let text = message.first(.event) else { throw .badEvent }
        let event = try SIPRefusal.reading { () throws(SIPParseError) in try EventHeader(parsing: text) }
        guard event.package.isExactly("reg") else { throw .badEvent }
        return event.id?.string
    }

    private func watch(
        _ request: IncomingRequest, _ domain: DomainName, login: String?, eventID: String?
    ) throws(SIPRefusal) -> WatchRequest {
        let message = request.message
        let isWithin = request.essentials.to.tag != nil
        let kind = isWithin ? .refresh(localTag: request.essentials.to.tag?.string ?? "") : try begin(request, login)
        try checkAccept(message)
        let expires = try expires(message)
        let contact = try contact(message, isNeeded: !isWithin)
        guard Self.dialogBytes(request, contact) <= Watcher.maximumDialogBytes else { throw SIPRefusal(status: 513) }
        return WatchRequest(
            request: request, domain: domain, kind: kind, login: login, expires: expires, eventID: eventID,
            target: contact, way: way(to: request))
    }

    /// The account in the Request-URI, which nobody but itself watches (own decision).
    private func begin(_ request: IncomingRequest, _ login: String?) throws(SIPRefusal) -> WatchRequest.Kind {
        let uri = try target(of: request.message)
        guard let user = uri.user, let account = uri.decodedUser, !account.isEmpty,
            account.utf8.count <= NewAccount.maximumNameLength
        else { throw SIPRefusal(status: 404) }
        guard login.map({ ExactText($0) == ExactText(account) }) ?? true else { throw SIPRefusal(status: 403) }
        guard counters.watchers.load(ordering: .relaxed) < UInt64(settings.limits.watchersPerNode) else {
            throw .tooManyWatchers
        }
        return .begin(account: account, addressOfRecord: "\(uri.scheme.name):\(user)@\(uri.host)")
    }

    /// RFC 3680 section 4.5.
    private func checkAccept(_ message: SIPMessage) throws(SIPRefusal) {
        let accept = try SIPRefusal.reading { () throws(SIPParseError) in try message.accept() }
        guard accept?.contains(where: { $0.includes("application", "reginfo+xml") }) ?? true else {
            throw SIPRefusal(status: 406, headers: [("Accept", RegistrationInfo.type)])
        }
    }

    private func expires(_ message: SIPMessage) throws(SIPRefusal) -> UInt32 {
        let asked = message.first(.expires).map { Expires(parsing: $0).seconds } ?? SIPSettings.defaultWatch
        guard asked == 0 || asked >= SIPSettings.shortestWatch else {
            throw .intervalTooBrief(minimum: Int64(SIPSettings.shortestWatch))
        }
        return min(asked, SIPSettings.longestWatch)
    }

    /// Where the watcher is sent requests: one SIP URI, that may be left out within a dialog.
    private func contact(_ message: SIPMessage, isNeeded: Bool) throws(SIPRefusal) -> String? {
        let texts = message.all(.contact)
        guard texts.count == 1 else {
            guard texts.isEmpty, !isNeeded else { throw .badRequest("Bad Request (one Contact is needed)") }
            return nil
        }
        let field = try SIPRefusal.reading { () throws(SIPParseError) in try ContactField(parsing: texts[0]) }
        guard case .address(let address, _, _, _, _) = field, address.uri.isSIP, !address.uri.hasHeaders else {
            throw .badRequest("Bad Request (Contact is no SIP URI)")
        }
        return address.uriText.string
    }

    /// What every NOTIFY of the dialog repeats.
    private static func dialogBytes(_ request: IncomingRequest, _ contact: String?) -> Int {
        let essentials = request.essentials
        let routes = request.message.all(.recordRoute).reduce(0) { $0 + $1.count }
        return routes + essentials.from.text.count + essentials.to.text.count + essentials.callID.count
            + (contact?.utf8.count ?? 0)
    }

    private func way(to request: IncomingRequest) -> WatcherWay {
        let route = request.route.answering(request.essentials.via)
        let transport = route.peer.transport
        let address = ownAddress(transport)
        // The scheme of what was asked for (RFC 3261 section 12.1.1).
        let isSecured = request.message.requestURI?.string.lowercased().hasPrefix("sips:") == true
        let parameter = transport == .udp || isSecured ? "" : ";transport=\(transport.eventName)"
        return WatcherWay(
            lane: lane, route: route, via: "\(transport.name) \(address)",
            contact: "\(isSecured ? "sips" : "sip"):\(address)\(parameter)")
    }
}

extension SIPRefusal {
    /// The node has as many watchers as it may.
    static let tooManyWatchers = SIPRefusal(status: 503, headers: [("Retry-After", "60")])
    fileprivate static let badEvent = SIPRefusal(status: 489, headers: [("Allow-Events", SIPCapabilities.events)])
}
