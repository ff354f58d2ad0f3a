import ClusterRuntime
import RegistrarEvents
import SIP

/// A subscription to an account's registrations, and the dialog that it lives in.
///
/// It *owes* its watcher nothing, some changes, or everything; with the NOTIFY that pays for it under way it owes what
/// happened meanwhile. Once it is `ending`, the NOTIFY that leaves nothing owed is the last.
struct Watcher: Sendable {
    enum Debt: Equatable {
        case nothing
        case changes
        /// The full state.
        case everything
    }

    enum Queue: Equatable {
        case none
        /// It is to be sent a NOTIFY.
        case due
        /// It is too early for that.
        case delayed
    }

    /// Why a subscription ends, as its last NOTIFY says. Source: RFC 6665 section 4.1.3.
    enum Ending: Equatable {
        /// Its time ran out, its watcher ended it, or only one notification was asked for.
        case timeout
        /// The account was removed.
        case noResource
        /// The gateway goes; another will do, in so many seconds.
        case probation(retryAfter: Int)

        var text: String {
            switch self {
            case .timeout: "terminated;reason=timeout"
            case .noResource: "terminated;reason=noresource"
            case .probation(let seconds): "terminated;reason=probation;retry-after=\(seconds)"
            }
        }
    }

    let account: String
    let addressOfRecord: String
    private let localTag: String
    private let remoteTag: String?
    private let callID: String
    private let localAddress: String
    private let remoteAddress: String
    private let routes: [String]
    private let eventID: String?
    private var target: String
    private var remoteCSeq: UInt32
    private var localCSeq: UInt32 = 0
    private(set) var way: WatcherWay
    private(set) var deadline: MonotonicInstant
    private var version: UInt32 = 0

    private(set) var ending: Ending?
    private var owesEverything = true
    private var changes: [ContactChange] = []
    /// Whether the NOTIFY that ends the subscription has been sent.
    private(set) var isOver = false
    var transaction: NotifyTransaction?
    /// When the next NOTIFY about changes may begin.
    private(set) var earliest = MonotonicInstant.distantPast
    /// Whether what is owed need not wait for that.
    private(set) var isUrgent = true
    /// Which of the machine's queues the watcher waits in, and whether it is in the list of transactions.
    var queue = Queue.none
    var isListed = false

    /// Changes that are kept for a watcher; with more it is told everything instead.
    static let maximumChanges = 64
    /// Longest texts of a dialog together, in bytes: they are in every NOTIFY.
    static let maximumDialogBytes = 4_096

    /// - Precondition: the request is of kind `begin`.
    init(_ watch: WatchRequest, account: String, addressOfRecord: String, at now: MonotonicInstant) {
        let essentials = watch.request.essentials
        self.account = account
        self.addressOfRecord = addressOfRecord
        localTag = watch.request.localTag
        remoteTag = essentials.from.tag?.string
        callID = essentials.callID.string
        localAddress = "<\(essentials.to.uriText)>;tag=\(localTag)"
        remoteAddress = "<\(essentials.from.uriText)>" + (remoteTag.map { ";tag=\($0)" } ?? "")
        routes = watch.request.message.all(.recordRoute).map(\.string)
        eventID = watch.eventID
        target = watch.target ?? ""
        remoteCSeq = essentials.cseq.number
        way = watch.way
        deadline = now + .seconds(Int64(watch.expires))
        ending = watch.expires == 0 ? .timeout : nil
    }

    var debt: Debt { owesEverything ? .everything : changes.isEmpty && ending == nil ? .nothing : .changes }

    // MARK: The dialog

    /// A SUBSCRIBE within the dialog: a refresh, or the end.
    /// - Throws: what it is refused with.
    mutating func refresh(_ watch: WatchRequest, at now: MonotonicInstant) throws(SIPRefusal) {
        let essentials = watch.request.essentials
        guard !isOver, essentials.callID.string == callID, essentials.from.tag?.string == remoteTag,
            watch.eventID == eventID
        else { throw .noSubscription }
        guard watch.login.map({ ExactText($0) == ExactText(account) }) ?? true else { throw SIPRefusal(status: 403) }
        // RFC 3261 section 12.2.2.
        guard essentials.cseq.number > remoteCSeq else {
            throw SIPRefusal(status: 500, reason: "Server Internal Error (CSeq is not higher than one before)")
        }
        remoteCSeq = essentials.cseq.number
        if let target = watch.target { self.target = target }
        // What is under way on another way may never be answered, and everything is told anew.
        if watch.way != way { transaction = nil }
        way = watch.way
        deadline = now + .seconds(Int64(watch.expires))
        ending = watch.expires == 0 ? .timeout : nil
        earliest = .distantPast
        oweEverything()
    }

    // MARK: What is owed

    mutating func oweEverything() {
        (owesEverything, isUrgent) = (true, true)
        changes = []
    }

    /// Of several changes of one contact the last is told.
    mutating func owe(_ change: ContactChange) {
        guard !owesEverything, !isOver else { return }
        changes.removeAll { $0.contact.id == change.contact.id }
        changes.append(change)
        if changes.count > Self.maximumChanges { oweEverything() }
    }

    mutating func end(_ ending: Ending) {
        self.ending = ending
        isUrgent = true
    }

    /// The watcher wants to be told later.
    mutating func wait(until: MonotonicInstant) {
        oweEverything()
        (earliest, isUrgent) = (until, false)
    }

    // MARK: NOTIFY

    /// The next NOTIFY, with what is owed or as much of it as it may hold.
    /// - Parameter gap: how long the one after it has to wait.
    mutating func notify(
        _ contacts: [WatchedContact], within limit: Int, gap: Duration, at now: MonotonicInstant
    ) -> NotifyTransaction {
        let scope: RegistrationInfo.Scope = owesEverything ? .full : .partial
        let told = owesEverything ? contacts.map { ContactChange(contact: $0, event: $0.origin) } : changes
        let info = RegistrationInfo(
            account: account, addressOfRecord: addressOfRecord, version: version, scope: scope,
            isActive: !contacts.isEmpty)
        let (body, count) = info.document(told, within: limit, at: now)
        // What did not fit follows as changes.
        changes = Array(told.dropFirst(count))
        (owesEverything, isUrgent) = (false, ending != nil)
        isOver = ending != nil && changes.isEmpty
        (version, localCSeq, earliest) = (version &+ 1, localCSeq + 1, now + gap)
        let started = NotifyTransaction(
            cseq: localCSeq, request(body, at: now), isReliable: way.route.isReliable, at: now)
        transaction = started
        return started
    }

    private func request(_ body: [UInt8], at now: MonotonicInstant) -> [UInt8] {
        let branch = NotifyBranch(tag: localTag, cseq: localCSeq)
        var writer = RequestWriter(
            .notify, uri: target, via: "\(way.via);branch=\(branch.text);rport", from: localAddress, to: remoteAddress,
            callID: callID, cseq: localCSeq)
        for route in routes { writer.header("Route", route) }
        writer.header("Contact", "<\(way.contact)>")
        writer.header("Event", eventID.map { "reg;id=\($0)" } ?? "reg")
        writer.header("Subscription-State", state(at: now))
        writer.header("Content-Type", RegistrationInfo.type)
        return writer.finish(body: body)
    }

    private func state(at now: MonotonicInstant) -> String {
        if isOver, let ending { return ending.text }
        return "active;expires=\(max(((deadline - now).milliseconds + 999) / 1_000, 0))"
    }
}

extension SIPRefusal {
    /// RFC 6665 section 4.2.1.1.
    static let noSubscription = SIPRefusal(status: 481, reason: "Subscription Does Not Exist")
}
