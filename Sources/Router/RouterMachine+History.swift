import ClusterRuntime
import RegistrarEvents

/// A coordinator that knows less than nodes do: its data was lost, or an older state of it was put back.
///
/// Nodes heed the highest term and the highest revisions that they have heard of, and tell both. So a router leads in a
/// term above all of them and stores under revisions above all of them, or nobody would obey. What is stored counts as
/// far as no node shows that it is out of date (`Planner+History.swift`), and is stored anew, so that every node takes
/// it.
///
/// Until then nothing is told and nobody gets a lease, since whoever lost a domain by what is stored no more must not
/// acknowledge. It waits until every `sr` node has said what it holds, or `Periods.restartGrace` is over.
extension RouterMachine {
    /// The highest numbers that nodes have told.
    struct KnownHistory: Sendable {
        private(set) var term: UInt64 = 0
        private(set) var revision: UInt64 = 0

        /// Beyond this a number is taken for a broken heartbeat: no cluster stores so often.
        private static let highestPlausible: UInt64 = 1 << 48

        mutating func take(_ heartbeat: Heartbeat) {
            if heartbeat.knownTerm <= Self.highestPlausible { term = max(term, heartbeat.knownTerm) }
            if heartbeat.revision <= Self.highestPlausible { revision = max(revision, heartbeat.revision) }
        }
    }

    /// Takes in what a node knows. A leader whose term is not the highest one is not heeded by anybody: either another
    /// router has led since, which the coordinator knows, or the coordinator has forgotten.
    mutating func learn(from heartbeat: Heartbeat, of life: NodeID, at now: Moment) {
        known.take(heartbeat)
        guard let leadership, isOutranked(leadership), !leadership.hasMetHigherTerm else { return }
        self.leadership?.hasMetHigherTerm = true
        nextCampaign = now.monotonic
        emit(.log(.outranked(term: known.term, knownTo: life)))
        campaignIfDue(at: now)
    }

    func isOutranked(_ leadership: Leadership) -> Bool { known.term > leadership.term }

    /// What is stored is older than what nodes know, so nothing of it is told as it is.
    mutating func heedHistory() {
        guard let leadership, let book = leadership.book,
            known.revision > max(book.revision, leadership.outdated)
        else { return }
        dropRestOfPlan()
        self.leadership?.outdated = known.revision
        self.leadership?.reported = []
        self.leadership?.hasForgotten = true
        self.leadership?.due = .everything
        emit(.log(.coordinatorBehind(stored: book.revision, known: known.revision)))
    }

    /// Everything was stored anew.
    mutating func historyIsWhole(_ book: AssignmentBook) {
        leadership?.outdated = 0
        // Who knows this has been told of whatever it lost.
        leadership?.baseline = book.revision
    }

    /// Whether nothing more is to be expected: every `sr` node has said what it holds, or was given the time to.
    func hasHeardEveryone(at now: Moment) -> Bool {
        guard let leadership, let listening = listeningToRegistrars(leadership) else { return false }
        return now.monotonic - listening >= periods.restartGrace || haveAllReported(leadership)
    }

    /// Since when this router has led and heard any `sr` node; nil while it hears none.
    private func listeningToRegistrars(_ leadership: Leadership) -> MonotonicInstant? {
        let registrars = membership.members.lazy.filter { $0.node.role == .sr && $0.isAlive }
        return registrars.compactMap(\.upSince).min().map { max($0, leadership.began) }
    }

    /// Above which epoch a domain begins that nobody serves; 0 unless there may have been epochs that nobody knows of:
    /// the coordinator has forgotten some, or holds nothing while a node is missing that may hold a copy. The time in
    /// seconds is above all of them, and so is the highest revision known, should a clock have been set back: most took
    /// one each.
    func epochFloor(_ leadership: Leadership, at now: Moment) -> UInt64 {
        guard leadership.hasForgotten || leadership.beganEmpty && !haveAllReported(leadership) else { return 0 }
        return max(known.revision, UInt64(max(0, now.wall / 1000)))
    }

    func haveAllReported(_ leadership: Leadership) -> Bool {
        membership.members.allSatisfy { member in
            guard member.node.role == .sr else { return true }
            // Where nodes run, what they said before may have been overtaken.
            let hasReported =
                leadership.outdated == 0
                ? copies.hasReported(member.life) : leadership.reported.contains(member.life)
            return member.isAlive && hasReported
        }
    }

    /// Whether this router leads for so short that an owner it has not heard of may be right, and the book wrong.
    func isNew(_ leadership: Leadership, at now: Moment) -> Bool {
        guard let listening = listeningToRegistrars(leadership) else { return true }
        return now.monotonic - listening <= periods.restartGrace * 2
    }

    /// Looks whether a node holds more than is stored.
    mutating func compare(_ life: NodeID) {
        guard let book = leadership?.book else { return }
        let found = copies.contradictions(of: book, by: life)
        guard !found.isEmpty else { return }
        leadership?.contradicted.formUnion(found)
        leadership?.due.add(found)
    }
}
