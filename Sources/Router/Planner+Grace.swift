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
        let firstUp = firstAble(at: place, round)
        var wait = round.facts.waits[name]
        wait?.look(isAnybodyThere: firstUp != nil, grace: restartGrace, at: now)
        if wait == nil, firstUp != nil { wait = GraceWait(at: now) }
        round.waits[name] = wait
        // Whoever seemed to be there before those that are may have been gone already.
        let heard = ([firstUp] + members.map { round.facts.membership[$0.name]?.lastHeard }).compactMap(\.self).max()
        return wait?.isOver(heard: heard, grace: restartGrace, at: now) ?? false
    }

    /// Since when any of those has been up who are there and could take the domain over: nodes that are to serve it, or
    /// that have a copy, at sites that have their quorum. Nil when there are none.
    private func firstAble(at place: Int, _ round: Round) -> MonotonicInstant? {
        let domain = layout.domains[place]
        if domain.isClosing { return round.firstUp.values.min() }
        if let first = round.firstUp[domain.group] { return first }
        guard ranks[place].count < nodes.count else { return nil }
        return nodes.indices.compactMap { node in
            guard let life = round.lives[node], isQuorate(node, facts: round.facts),
                holds(life, domain.name, round.facts)
            else { return nil }
            return round.facts.membership[life.name]?.upSince
        }.min()
    }
}
