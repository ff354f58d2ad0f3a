import ClusterRuntime
import RegistrarEvents
import SIP

/// Room for a device where the account has as many as it may: a registered one that does not answer is ended.
///
/// RFC 3261 leaves the number of contacts to the registrar's policy; this one is an own decision. The REGISTER waits
/// for all of it, so its sender sees one answer.
extension Registrar {
    /// How far a REGISTER has come with its domain's owner.
    enum Stage: Hashable {
        case binding
        /// No room: which contacts are there?
        case listing(limit: UInt32)
        /// Which of these silent contacts, as they were listed, have not been renewed since?
        case lookingAgain([LiveContact], limit: UInt32)
        /// The first of these contacts is being ended.
        case ending([[UInt8]], limit: UInt32)
        /// Once more.
        case bindingAgain
    }

    /// Searches for room that are under way, of this event loop.
    struct Probing {
        struct Search {
            let id: UInt64
            let waiting: Waiting
            let limit: UInt32
            /// As they were listed.
            let contacts: [LiveContact]
            var probe: DeviceProbe
        }

        /// Those of which devices are being asked, in the order of their beginnings.
        var searches: [Search] = []
        /// Which search each question belongs to.
        var byBranch: [ProbeBranch: UInt64] = [:]
        var nextID: UInt64 = 0
        /// All, from the owner's refusal on.
        var accounts: Set<AccountOfDomain> = []
    }

    struct AccountOfDomain: Hashable {
        let domain: DomainName
        let account: ExactText
    }

    // MARK: The owner

    /// The owner has no room for what a REGISTER adds.
    mutating func lookForRoom(
        for waiting: Waiting, limit: UInt32, at now: Moment, _ out: inout Outbox
    ) {
        guard !probing.accounts.contains(waiting.accountOfDomain) else {
            return answer(waiting, refusal: .unavailable(after: retryAfter()), at: now, &out)
        }
        guard probing.accounts.count < settings.maximumProbes else {
            return answer(waiting, refusal: .tooManyDevices(limit), at: now, &out)
        }
        probing.accounts.insert(waiting.accountOfDomain)
        ask(waiting.in(.listing(limit: limit)), at: now, &out)
    }

    /// The owner's reply to a REGISTER that is beyond its first stage.
    mutating func searched(_ waiting: Waiting, _ result: Reply.Result, at now: Moment, _ out: inout Outbox) {
        switch (waiting.stage, result) {
        case (.listing(let limit), .page(let contacts, _, _)):
            beginProbe(for: waiting, contacts, limit: limit, at: now, &out)
        case (.lookingAgain(let silent, let limit), .page(let contacts, _, _)):
            makeRoom(for: waiting, silent, contacts, limit: limit, at: now, &out)
        case (.ending(let keys, let limit), .unregistered):
            let others = Array(keys.dropFirst())
            ask(waiting.in(others.isEmpty ? .bindingAgain : .ending(others, limit: limit)), at: now, &out)
        case (.bindingAgain, .bound(_, let contacts)):
            endSearch(for: waiting)
            accept(waiting, contacts, at: now, &out)
        case (_, .refused(let refusal)):
            endSearch(for: waiting)
            answer(waiting, refusal: sipRefusal(refusal), at: now, &out)
        case (.binding, _), (.listing, _), (.lookingAgain, _), (.ending, _), (.bindingAgain, _):
            preconditionFailure("a REGISTER in stage \(waiting.stage) was answered with \(result)")
        }
    }

    /// Whatever became of it. For a REGISTER without a search nothing.
    mutating func endSearch(for waiting: Waiting) {
        if waiting.stage != .binding { probing.accounts.remove(waiting.accountOfDomain) }
    }

    // MARK: The devices

    private mutating func beginProbe(
        for waiting: Waiting, _ contacts: [LiveContact], limit: UInt32, at now: Moment, _ out: inout Outbox
    ) {
        let binding = waiting.binding
        let needed = binding.excess(over: contacts, limit: limit)
        // One has ended by itself meanwhile.
        guard needed > 0 else { return ask(waiting.in(.bindingAgain), at: now, &out) }
        let devices = devices(contacts.filter { !binding.concerns($0) }, waiting.register.domain)
        probing.nextID += 1
        var search = Probing.Search(
            id: probing.nextID, waiting: waiting, limit: limit, contacts: contacts,
            probe: DeviceProbe(devices, needed: needed, at: now.monotonic))
        answers.expect(search.probe.branches)
        for branch in search.probe.branches { probing.byBranch[branch] = search.id }
        if !perform(search.probe.begin(), &search, at: now, &out) { probing.searches.append(search) }
    }

    /// Those that are gone, and of the others as many as are asked: those with the least time left.
    private func devices(_ contacts: [LiveContact], _ domain: DomainName) -> [DeviceProbe.Device] {
        var devices: [DeviceProbe.Device] = []
        var asked = 0
        for live in contacts.sorted(by: { $0.ttl < $1.ttl }) {
            guard let device = device(live, domain, mayAsk: asked < DeviceProbe.maximumAsked) else { continue }
            devices.append(device)
            asked += device.isGone ? 0 : 1
        }
        return devices
    }

    /// Ends silent contacts, but none that was renewed while its device was asked: such a device lives, though perhaps
    /// no more where it was.
    private mutating func makeRoom(
        for waiting: Waiting, _ silent: [LiveContact], _ contacts: [LiveContact], limit: UInt32, at now: Moment,
        _ out: inout Outbox
    ) {
        let needed = waiting.binding.excess(over: contacts, limit: limit)
        guard needed > 0 else { return ask(waiting.in(.bindingAgain), at: now, &out) }
        let unchanged = silent.filter { before in
            contacts.contains { $0.contact == before.contact && $0.ttl <= before.ttl }
        }
        guard unchanged.count >= needed else { return refuseRoom(for: waiting, limit: limit, at: now, &out) }
        let ended = unchanged.prefix(needed).map { Array($0.contact.keyBytes) }
        counters.replaced.count(ended.count)
        ask(waiting.in(.ending(ended, limit: limit)), at: now, &out)
    }

    private mutating func refuseRoom(for waiting: Waiting, limit: UInt32, at now: Moment, _ out: inout Outbox) {
        endSearch(for: waiting)
        answer(waiting, refusal: .tooManyDevices(limit), at: now, &out)
    }

    /// A response came in, to a NOTIFY or to a question. Whatever it says to that, whoever sent it lives, unless it is
    /// provisional (RFC 3261 section 17.1).
    mutating func response(_ message: SIPMessage, at now: Moment, _ out: inout Outbox) {
        counters.responses.count()
        // A response whose Via cannot be read is none to us.
        guard let status = message.status, let text = message.first(.via), let via = try? Via(parsing: text),
            let branch = via.branch
        else { return }
        if let branch = NotifyBranch(branch.string) { return notifyAnswered(branch, message, status: status, &out) }
        guard status >= 200, let branch = ProbeBranch(branch) else { return }
        guard answers.take(branch) else { return }
        // Of another event loop's search: that looks for it when time has passed.
        guard let index = probing.searches.firstIndex(where: { $0.id == probing.byBranch[branch] }) else { return }
        var search = probing.searches.remove(at: index)
        if !advance(&search, at: now, &out) { probing.searches.insert(search, at: index) }
    }

    /// Looks at the time, and at what came in at other event loops.
    mutating func searchOn(at now: Moment, _ out: inout Outbox) {
        guard !probing.searches.isEmpty else { return }
        let searches = probing.searches
        probing.searches = []
        for var search in searches {
            let isOver = advance(&search, at: now, &out)
            if !isOver { probing.searches.append(search) }
        }
    }

    /// - Returns: whether it is over.
    private mutating func advance(_ search: inout Probing.Search, at now: Moment, _ out: inout Outbox) -> Bool {
        for branch in answers.answered(search.probe.branches) {
            answers.forget([branch])
            probing.byBranch[branch] = nil
            if perform(search.probe.answered(branch), &search, at: now, &out) { return true }
        }
        return perform(search.probe.timePassed(at: now.monotonic), &search, at: now, &out)
    }

    private mutating func forget(_ search: Probing.Search) {
        answers.forget(search.probe.branches)
        for branch in search.probe.branches { probing.byBranch[branch] = nil }
    }

    private mutating func perform(
        _ action: DeviceProbe.Action, _ search: inout Probing.Search, at now: Moment, _ out: inout Outbox
    ) -> Bool {
        switch action {
        case .wait: return false
        case .ask(let devices):
            for device in devices {
                guard case .question(let bytes, let route, _) = device.reach else { continue }
                counters.probes.count()
                out.answers.append((bytes, route))
            }
            return false
        case .makeRoom(let keys):
            forget(search)
            let silent = keys.compactMap { key in search.contacts.first { $0.contact.keyBytes == key[...] } }
            ask(search.waiting.in(.lookingAgain(silent, limit: search.limit)), at: now, &out)
            return true
        case .refuse:
            forget(search)
            refuseRoom(for: search.waiting, limit: search.limit, at: now, &out)
            return true
        }
    }
}

extension Registrar.Waiting {
    var accountOfDomain: Registrar.AccountOfDomain {
        Registrar.AccountOfDomain(domain: register.domain, account: ExactText(register.account))
    }

    /// The question to the owner at this stage.
    var operation: Request.Operation {
        switch stage {
        case .binding, .bindingAgain: register.operation
        case .listing, .lookingAgain: .list(cursor: 0, account: AccountID(.sipuser, register.account))
        case .ending(let keys, _): .unregister(key: keys[0], reason: .deleteContact)
        }
    }

    /// As its contacts tell of it.
    var origin: FlowBook.Origin {
        let essentials = request.essentials
        return FlowBook.Origin(
            end: FlowBook.End(request.route.peer), callID: essentials.callID.string, cseq: essentials.cseq.number)
    }

    /// What it adds and removes.
    fileprivate var binding: Binding {
        guard case .bind(let binding) = register.operation else {
            preconditionFailure("\(register.operation) needs no room")
        }
        return binding
    }

    fileprivate func `in`(_ stage: Registrar.Stage) -> Self {
        var copy = self
        copy.stage = stage
        return copy
    }
}

extension Binding {
    /// How many contacts are too many with the binding.
    fileprivate func excess(over contacts: [LiveContact], limit: UInt32) -> Int {
        var count = contacts.count
        for change in changes {
            let isPresent = contacts.contains { $0.contact.keyBytes == change.key }
            switch change {
            case .put: count += isPresent ? 0 : 1
            case .remove: count -= isPresent ? 1 : 0
            }
        }
        return count - Int(limit)
    }

    fileprivate func concerns(_ live: LiveContact) -> Bool { changes.contains { $0.key == live.contact.keyBytes } }
}

extension SIPRefusal {
    static func tooManyDevices(_ limit: UInt32) -> SIPRefusal {
        SIPRefusal(status: 403, reason: "Forbidden (\(limit) devices at most)")
    }
}
