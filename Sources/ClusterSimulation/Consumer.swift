import RegistrarEvents

/// Keeps what it asked for by what it is told, as any client does: a `clear` empties the set, and everything else is
/// put in or taken out. Beside that it holds what it is told against what it was promised. Knows nothing of the code
/// that tells it.
struct Consumer {
    /// What a subscriber asks for.
    enum View: Hashable {
        case all
        case changes
        /// Events of these accounts.
        case accounts([String])
        case states
    }

    let view: View
    private(set) var position = Position.start
    /// Which registration each contact has.
    private(set) var contacts: [ContactKey: Notification.Mark] = [:]
    private(set) var online: Set<AccountID> = []
    /// Whether it has all of a list, so that it may go on from its position.
    private(set) var isWhole = false
    /// Whether it is told a list: everything in it has the position of the `clear` before.
    private var isListing = false
    /// How often it went on where it was, and how often it was given a list instead.
    private(set) var resumed = 0
    private(set) var relisted = 0
    private var isResuming = false
    /// It has connected, and the node it is at may be a moment behind the one before.
    private var isNew = true
    /// Planted bugs.
    private let keepsWhatWasResynced: Bool
    private let hidesDifferences: Bool

    static let orderPromise = "positions"
    static let changesPromise = "net changes lead to the list"

    init(_ view: View, plantedBug: PlantedBug?) {
        self.view = view
        keepsWhatWasResynced = plantedBug == .keepsWhatWasResynced
        hidesDifferences = plantedBug == .hidesDifferences
    }

    /// It comes to a node, and asks for what it missed, or for everything.
    mutating func connected(anew: Bool) {
        isNew = true
        isResuming = !anew
        if anew { (position, isWhole) = (.start, false) }
    }

    /// Everything up to a position has been told: what comes now is new, and it may go on from there.
    mutating func listed(through told: Position) -> String? {
        isListing = false
        isWhole = true
        defer { position = max(position, told) }
        // Whoever follows everything is told everything, and so knows where that ends.
        return view == .all && told != position ? "is said to be at \(told), after \(position)" : nil
    }

    /// - Parameter known: what the domain's log is known to have at a position.
    /// - Returns: what is wrong with it.
    mutating func take(_ told: Notification, known: (Position) -> Notification?) -> String? {
        defer {
            position = told.position
            isNew = false
        }
        if isResuming, isNew { if told.beginsList { relisted += 1 } else { resumed += 1 } }
        if told.beginsList { return begin(told) }
        if isListing, told.position == position { return list(told) }
        isListing = false
        isWhole = true
        switch view {
        case .all, .accounts: return follow(told, known)
        case .changes: return takeChange(told)
        case .states: return takeState(told)
        }
    }

    private mutating func begin(_ told: Notification) -> String? {
        let isBack = told.position < position && !isNew
        if !keepsWhatWasResynced { contacts = [:] }
        online = []
        (isListing, isWhole) = (true, false)
        return isBack ? "went back from \(position) to \(told.position)" : nil
    }

    private mutating func list(_ told: Notification) -> String? {
        switch told.event {
        case .registered(let key, let mark, _, isReplay: true): contacts[key] = mark
        case .state(let account, isOnline: true, isRestated: true): online.insert(account)
        // What differs from the list after all, as a replay has shown, is said at the list's own position.
        case .unregistered where view == .changes: return takeChange(told)
        case .state where view == .states: return takeState(told)
        case .registered, .unregistered, .clear, .state: return "\(told) is in a list"
        }
        return nil
    }

    // MARK: The log

    private mutating func follow(_ told: Notification, _ known: (Position) -> Notification?) -> String? {
        let (last, next) = (position, told.position)
        apply(told)
        if let entry = known(next), entry != told { return "was told \(told), and the log has \(entry)" }
        if case .clear = told.event {
            return next.seq == 1 && next.epoch > last.epoch ? nil : "\(told) came after \(last)"
        }
        guard next.epoch == last.epoch, next.seq > last.seq else { return "\(told) came after \(last)" }
        if case .accounts(let accounts) = view, !(told.account.map { accounts.contains($0.name) } ?? true) {
            return "was told \(told), which it did not ask for"
        }
        guard next.seq > last.seq + 1 else { return nil }
        guard case .accounts(let accounts) = view else { return "\(told) came after \(last)" }
        for seq in last.seq + 1..<next.seq {
            guard let entry = known(Position(epoch: next.epoch, seq: seq)) else { continue }
            if entry.account.map({ accounts.contains($0.name) }) ?? true { return "missed \(entry)" }
        }
        return nil
    }

    private mutating func apply(_ told: Notification) {
        switch told.event {
        case .registered(let key, let mark, _, _): contacts[key] = mark
        case .unregistered(let key, _): contacts[key] = nil
        case .clear: contacts = [:]
        case .state: break
        }
    }

    // MARK: Net

    private mutating func takeChange(_ told: Notification) -> String? {
        if told.position < position { return "\(told) came after \(position)" }
        if case .clear(let reason) = told.event {
            apply(told)
            return reason == "storage_cleared" ? nil : "was told \(told)"
        }
        if hidesDifferences, case .unregistered(_, "delete_contact") = told.event { return nil }
        apply(told)
        return nil
    }

    private mutating func takeState(_ told: Notification) -> String? {
        if told.position < position { return "\(told) came after \(position)" }
        guard case .state(let account, let isOnline, isRestated: false) = told.event else { return "was told \(told)" }
        guard online.contains(account) != isOnline else { return "was told twice: \(told)" }
        if isOnline { online.insert(account) } else { online.remove(account) }
        return nil
    }

    // MARK: At the end

    /// How the set differs from the owner's list; empty when it does not.
    func differences(from list: [ContactKey: Notification.Mark]) -> [String] {
        if view == .states {
            return online.symmetricDifference(list.keys.map(\.account)).map { "the state of \($0.name)" }.sorted()
        }
        var wanted = list
        if case .accounts(let accounts) = view { wanted = list.filter { accounts.contains($0.key.account.name) } }
        let missing = wanted.keys.filter { contacts[$0] == nil }.sorted()
        let extra = contacts.keys.filter { wanted[$0] == nil }.sorted()
        let other = wanted.filter { key, mark in
            guard let own = contacts[key] else { return false }
            // A REGISTER that only renews changes nothing.
            return view == .changes ? own.device != mark.device : own != mark
        }.keys.sorted()
        let findings = [("misses", missing), ("has too much:", extra), ("differs in", other)]
        return findings.filter { !$0.1.isEmpty }.map { "\($0.0) \($0.1.prefix(3))" }
    }
}
