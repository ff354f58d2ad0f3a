/// Follows the leader's record at a coordinator that tells changes by their revisions, and tells when nobody leads.
///
/// Transitions: looking -> (looked) following -> (the watch ends, fails or is refused) pausing -> following where the
/// last watch ended, or looking anew after a refusal.
///
/// Invariants:
/// - What happened while nothing was followed is told once it is followed again: a watch is taken up after the last
///   change that was handed over, never after a revision that some answer only mentions.
/// - What the coordinator no longer has (it compacts its past) is made up for by looking at the record itself. Since
///   changes may lie in what was missed, a record that is gone counts as news then.
///
/// What it does not know: who leads, and whether the router that is told will campaign.
public struct VacancyWatch: Sendable {
    /// What happens to the watch.
    public enum Event: Hashable, Sendable {
        /// Nothing is under way: to begin with, and after each pause.
        case begin
        /// The record as it is at a revision of the coordinator.
        case looked(revision: Int64, isVacant: Bool)
        /// The record was written, or removed, at this revision.
        case changed(revision: Int64, isVacant: Bool)
        /// The coordinator does not do what it was asked, such as to begin before its last compaction.
        case refused
        /// The watch has ended, as any may.
        case ended
        /// There was no answer, or none any more.
        case failed
    }

    /// What the shell is to do, in order.
    public enum Directive: Hashable, Sendable {
        /// Ask for the record; answer with `looked`, `refused` or `failed`.
        case look
        /// Hand over the record's changes after a revision, each with `changed`, until the watch ends, fails or is
        /// refused.
        case follow(after: Int64)
        /// Tell the router.
        case vacant
        /// Then `begin`. A long one is as long as an endpoint is given to answer.
        case pause(isLong: Bool)
    }

    /// Everything up to this revision is known; 0 before the record was looked at, and when it has to be again.
    public private(set) var revision: Int64
    /// Whether nobody leads, as far as is known.
    public private(set) var isVacant = false

    /// - Parameter revision: up to which everything is known already: somebody leads then.
    public init(after revision: Int64 = 0) { self.revision = revision }

    public mutating func handle(_ event: Event) -> [Directive] {
        switch event {
        case .begin: return [revision == 0 ? .look : .follow(after: revision)]
        case .looked(let revision, let isVacant):
            return take(revision, isVacant) + [.follow(after: self.revision)]
        case .changed(let revision, let isVacant): return take(revision, isVacant)
        case .refused:
            (revision, isVacant) = (0, false)
            return [.pause(isLong: false)]
        case .ended: return [.pause(isLong: false)]
        case .failed: return [.pause(isLong: true)]
        }
    }

    private mutating func take(_ revision: Int64, _ isVacant: Bool) -> [Directive] {
        let isNews = isVacant && !self.isVacant
        self.isVacant = isVacant
        self.revision = max(self.revision, revision)
        return isNews ? [.vacant] : []
    }
}
