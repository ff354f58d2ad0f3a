import ClusterRuntime
import RegistrarEvents
import WSSubscrActor

/// The client's subscriptions.
extension Conversation {
    /// Most entries of a subscription's `events`.
    static let maximumEvents = 64
    /// Longest that a subscription holds without renewal, in seconds.
    static let maximumExpires: Int64 = 3_600
    /// Most requests of one subscription that may wait for the follower's answer.
    static let maximumPending = 8

    mutating func subscribe(_ parameters: Parameters, at now: Moment) throws(ReplyError) -> [Action] {
        guard let member else { throw .loginNeeded }
        let id = try subscriptionID(parameters)
        var expires = min(try parameters.integer("expires") ?? Self.maximumExpires, Self.maximumExpires)
        guard expires > 0 else { return end(id, parameters.qid, at: now) }
        if let expiresAt = member.expiresAt {
            let rest = expiresAt - now.wall / 1_000
            guard rest > 0 else { throw .forbidden("the token has expired; connect with a new one") }
            // Nothing comes by a token that has expired.
            expires = min(expires, rest)
        }
        let start = try start(parameters)
        let wantsSynced = try wantsSynced(parameters)
        let existing = numbers[id].flatMap { number in entries[number].map { (number: number, entry: $0) } }
        let domain = try domain(parameters, of: existing?.entry.domain, for: member)
        var matcher = try matcher(parameters, changing: existing?.entry.matcher)
        if let asked = matcher { matcher = try narrow(asked, events: parameters, for: member) }
        guard existing != nil || hasRoom(at: now) else {
            throw .tooMany("a connection may have \(maximumSubscriptions) subscriptions")
        }
        guard (existing?.entry.pending.count ?? 0) < Self.maximumPending else {
            throw .tooMany("\(Self.maximumPending) requests for this subscription wait for their answers")
        }
        let number = existing?.number ?? add(id, domain)
        entries[number]?.pending.append((parameters.qid, expires, matcher))
        if let matcher { entries[number]?.matcher = matcher }
        if let wantsSynced { entries[number]?.wantsSynced = wantsSynced }
        return [.subscribe(number: number, on: domain, matcher: matcher, expires: .seconds(expires), start: start)]
    }

    private func subscriptionID(_ parameters: Parameters) throws(ReplyError) -> [UInt8] {
        var json = JSONWriter(reserving: 16)
        switch parameters.members["id"] {
        case .string(let text) where text.utf8.count <= 128: json.string(text)
        case .integer(let number): json.integer(number)
        default: throw .badRequest("`id` must be a string of at most 128 bytes or a whole number")
        }
        return json.bytes
    }

    /// - Returns: nil when the request does not say, which keeps what was said before.
    private func wantsSynced(_ parameters: Parameters) throws(ReplyError) -> Bool? {
        guard let extra = try parameters.object("exargs"), extra.has("synced") else { return nil }
        return try extra.boolean("synced")
    }

    private func start(_ parameters: Parameters) throws(ReplyError) -> SubscribeRequest.Start? {
        guard let extra = try parameters.object("exargs") else { return nil }
        let wantsSnapshot = try extra.boolean("snapshot")
        guard let after = try extra.object("after") else { return wantsSnapshot ? .snapshot : nil }
        guard !wantsSnapshot else {
            throw .badRequest("`exargs` has both `snapshot` and `after`; expected one of them")
        }
        guard let epoch = try after.integer("epoch"), let seq = try after.integer("seq") else {
            throw .badRequest("`exargs.after` must be {epoch, seq}")
        }
        return .after(Position(epoch: UInt64(epoch), seq: UInt64(seq)))
    }

    /// What a request asks for.
    /// - Parameter current: what the subscription has; what the request leaves out is kept.
    /// - Returns: nil when it leaves out everything.
    private func matcher(
        _ parameters: Parameters, changing current: SubscriptionMatcher?
    ) throws(ReplyError) -> SubscriptionMatcher? {
        let extra = try parameters.object("exargs")
        let asked = ["events", "objects", "classpath"]
        let isChanged = asked.contains { parameters.has($0) } || SubscriptionMatcher.isChanged(by: extra)
        guard current == nil || isChanged else { return nil }
        let types = try types(parameters, changing: current?.types)
        guard !types.isOfStates || !SubscriptionMatcher.isChanged(by: extra) else {
            throw .notSupported("`filter`, `mask` and `changes` of `exargs` are for `registrarevents`")
        }
        let objects =
            parameters.has("objects")
            ? try parameters.strings("objects", maximum: SubscriptionMatcher.maximumObjects) : current?.objects
        var matcher = SubscriptionMatcher(
            types, objects: objects, filter: current?.filter, mask: current?.mask, changes: current?.changes ?? false)
        if let extra { try matcher.change(by: extra) }
        return matcher
    }

    /// The events that a request asks for: types of `registrarevents`, or the changes of the view of `classpath`.
    private func types(_ parameters: Parameters, changing current: EventTypes?) throws(ReplyError) -> EventTypes {
        var types = current ?? []
        var isOfStates = types.isOfStates
        if current == nil || parameters.has("events") {
            let events = try parameters.strings("events", maximum: Self.maximumEvents)
            guard !events.isEmpty else {
                throw .badRequest("`events` must name at least one, such as `registrarevents.*`")
            }
            isOfStates = events.contains { Self.dataChanged.contains($0) }
            types = isOfStates ? types : []
            for event in events where !Self.dataChanged.contains(event) {
                guard let type = EventTypes(event: event) else {
                    throw .unknown("there is no event `\(event)`; expected `registrarevents.*` or one of its types")
                }
                guard !isOfStates else {
                    throw .badRequest("a subscription is for `registrarevents` or for `modelevents`, not for both")
                }
                types.formUnion(type)
            }
        }
        if let current, current.isOfStates != isOfStates {
            throw .conflict("the subscription is for another class of events; end it first, or use another id")
        }
        guard isOfStates, !types.isOfStates || parameters.has("classpath") else { return types }
        let path = try parameters.string("classpath", maximum: 256)
        guard let kind = AccountKind.allCases.first(where: { $0.statesPath == path }) else {
            throw .unknown(
                "there is no classpath `\(path)`; expected `\(AccountKind.sipuser.statesPath)` or `user_states`")
        }
        return EventTypes(statesOf: kind)
    }

    /// What there is of `modelevents`.
    private static let dataChanged = ["modelevents.data_changed", "modelevents.*"]

    /// Whether there may be one subscription more. One that was ended takes room until its follower has answered what
    /// was asked for it: otherwise beginning and ending in a loop would ask for more at once than there may be.
    private mutating func hasRoom(at now: Moment) -> Bool {
        if numbers.count + leaving.count >= maximumSubscriptions {
            leaving = leaving.filter { $0.value.until > now.monotonic }
        }
        return numbers.count + leaving.count < maximumSubscriptions
    }

    /// The follower confirms the end, unless it is no more.
    private static let leavingTime: Duration = .seconds(10)

    private mutating func add(_ id: [UInt8], _ domain: DomainName) -> UInt32 {
        // Numbers come round, and a subscription may have lasted since.
        repeat { nextNumber = (nextNumber + 1) & SubscriberID.maximumNumber } while entries[nextNumber] != nil
        let number = nextNumber
        numbers[id] = number
        entries[number] = Entry(id: id, head: EventJSON.head(id: id), domain: domain)
        return number
    }

    /// Ends a subscription at the client's wish; one that has ended already is ended.
    private mutating func end(_ id: [UInt8], _ qid: JSONValue, at now: Moment) -> [Action] {
        var actions: [Action] = []
        if let number = numbers.removeValue(forKey: id), let entry = entries.removeValue(forKey: number) {
            actions.append(.cancel(number: number, on: entry.domain))
            if !entry.pending.isEmpty {
                leaving[number] = Leaving(answers: entry.pending.count, until: now.monotonic + Self.leavingTime)
            }
            for request in entry.pending {
                actions.append(.reply(ServerMessage.error("subscribe", request.qid, .ended)))
            }
        }
        let reply = ServerMessage.ok("subscribe", qid) { json in
            json.raw(#","id":"#)
            json.raw(id)
            json.member("expires", 0)
        }
        return actions + [.reply(reply)]
    }

    /// A follower's answer to the oldest request of the subscription that it has not answered.
    mutating func answered(_ number: UInt32, _ answer: SubscribeAnswer) -> [Action] {
        guard let entry = entries[number], let request = entry.pending.first else {
            answeredLate(number)
            return []
        }
        entries[number]?.pending.removeFirst()
        if case .accepted = answer, let matcher = request.matcher { entries[number]?.accepted = matcher }
        // What was refused is not what the next change is made to.
        if entry.pending.count == 1, let accepted = entries[number]?.accepted { entries[number]?.matcher = accepted }
        switch answer {
        case .accepted(let position):
            let reply = ServerMessage.ok("subscribe", request.qid) { json in
                json.raw(#","id":"#)
                json.raw(entry.id)
                json.member("expires", request.expires)
                json.member("position", position)
            }
            return [.reply(reply)]
        case .refused(let refusal):
            // Of any other end the follower tells by itself, after the answer.
            if refusal == .unknown, entry.pending.count == 1 { remove(number) }
            return [.reply(ServerMessage.error("subscribe", request.qid, ReplyError(refusal)))]
        }
    }

    /// To a subscription that the client has ended.
    private mutating func answeredLate(_ number: UInt32) {
        guard let answers = leaving[number]?.answers else { return }
        leaving[number]?.answers = answers - 1
        if answers == 1 { leaving[number] = nil }
    }

    /// The follower says that the subscription is over. With a request still to be answered it may begin anew.
    mutating func ended(_ number: UInt32) {
        leaving[number] = nil
        if entries[number]?.pending.isEmpty == true { remove(number) }
    }

    /// What a client is told, if it wants to be, when a subscription has been sent everything up to a position and gets
    /// what follows as it comes.
    func synced(_ number: UInt32, at position: Position) -> [UInt8]? {
        guard let entry = entries[number], entry.wantsSynced else { return nil }
        return ServerMessage.synced(id: entry.id, domain: entry.domain, position)
    }

    private mutating func remove(_ number: UInt32) {
        guard let entry = entries.removeValue(forKey: number) else { return }
        numbers[entry.id] = nil
    }
}
