import ClusterRuntime
import RegistrarEvents

/// Nodes that cannot write their journals: telling of them.
extension RouterMachine {
    /// Where domains may go depends on it.
    mutating func noteJournal(of life: NodeID, wasFailing: Bool) {
        let isFailing = membership[life.name]?.journalFailedSince != nil
        guard isFailing != wasFailing else { return }
        emit(.log(isFailing ? .journalFailed(life) : .journalWritable(life)))
        leadership?.due = .everything
    }

    /// What failing journals mean for a domain; nothing while none of its nodes has one.
    func journalReasons(
        _ owner: NodeName, _ assignment: Assignment, at place: Int, _ leadership: Leadership, _ facts: Planner.Facts
    ) -> [String] {
        guard !facts.failedJournals.isEmpty else { return [] }
        let domain = planner.layout.domains[place].name
        var reasons: [String] = []
        if planner.hasFailedJournal(owner, facts) {
            reasons.append(
                "\(owner) cannot write its journal: "
                    + (assignment.inSync.isEmpty
                        ? "it is alone, and acknowledges nothing until it can"
                        : "what it acknowledges is with its standbys in sync"))
        }
        for node in planner.ranks[place].map({ planner.nodes[$0].name })
        where node != owner && planner.hasFailedJournal(node, facts) {
            let isWanted = leadership.wishes.moves[domain] == node
            reasons.append(
                isWanted
                    ? "an operator wants it at \(node), which cannot write its journal: it moves when that can"
                    : "\(node) cannot write its journal, and is given nothing that another node can take")
        }
        if leadership.wishes.isDrained(owner), leadership.successors[domain] == nil {
            reasons.append("\(owner) is drained, and keeps it until there is another node that can write its journal")
        }
        let holders = ([owner] + assignment.inSync.map(\.name)).filter { !planner.hasFailedJournal($0, facts) }
        if let last = holders.first, holders.count == 1, last != owner, leadership.wishes.isDrained(last) {
            reasons.append("\(last) is drained, and keeps its copy, since there is none in another journal")
        }
        return reasons
    }
}
