import ClusterRuntime
import RegistrarEvents

/// How long a domain has waited for nodes that may hold more of it than whoever is there.
///
/// While nobody is there who could take over, nobody waits: when all come back after that, the first of them must not
/// win. Whoever comes and goes begins anew each time, but not for ever.
struct GraceWait: Hashable, Sendable {
    /// Since when somebody has been there who could take over; nil while nobody is.
    private var since: MonotonicInstant?
    /// When somebody was there first, but for absences longer than the grace; and last.
    private var first, last: MonotonicInstant

    /// - Parameter now: when somebody is there.
    init(at now: MonotonicInstant) { (since, first, last) = (now, now, now) }

    mutating func look(isAnybodyThere: Bool, grace: Duration, at now: MonotonicInstant) {
        guard isAnybodyThere else {
            since = nil
            return
        }
        if now - last > grace { first = now }
        since = since ?? now
        last = now
    }

    /// - Parameter heard: when one that is waited for was last heard: it may yet come to stay, and has what nobody else
    ///   has. But a domain that nobody serves helps nobody.
    func isOver(heard: MonotonicInstant?, grace: Duration, at now: MonotonicInstant) -> Bool {
        guard let since else { return false }
        return now - max(since, heard ?? since) >= grace || now - first >= grace * Self.longestInGraces
    }

    private static let longestInGraces = 6
}

extension Planner {
    /// Whether a domain without owner has waited for long enough, so that the best of what there is has to do.
    /// - Parameter members: lives that are still awaited.
    func isGraceOver(at place: Int, awaiting members: [NodeID], _ round: inout Round) -> Bool {
        let (name, now) = (layout.domains[place].name, round.facts.now.monotonic)
        let isAnybodyThere = isAnybodyAble(at: place, round)
        var wait = round.facts.waits[name]
        wait?.look(isAnybodyThere: isAnybodyThere, grace: restartGrace, at: now)
        if wait == nil, isAnybodyThere { wait = GraceWait(at: now) }
        round.waits[name] = wait
        let heard = members.compactMap { round.facts.membership[$0.name]?.lastHeard }.max()
        return wait?.isOver(heard: heard, grace: restartGrace, at: now) ?? false
    }

    /// Whether somebody is there who could take the domain over: a node that is to serve it, or one that has a copy,
    /// of a site that has its quorum.
    private func isAnybodyAble(at place: Int, _ round: Round) -> Bool {
        func isThere(_ node: Int) -> Bool { round.lives[node] != nil && isQuorate(node, facts: round.facts) }
        if ranks[place].contains(where: isThere) { return true }
        guard ranks[place].count < nodes.count else { return false }
        return nodes.indices.contains { node in
            isThere(node) && round.lives[node].map { holds($0, layout.domains[place].name, round.facts) } == true
        }
    }
}
