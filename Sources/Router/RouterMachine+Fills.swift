import ClusterRuntime
import RegistrarEvents

/// Copies that are being made and do not come into sync: a link that carries heartbeats and nothing larger, a disk that
/// hangs, a list that never agrees. They must not take the places of all others for ever (`ClusterLayout.Pace`).
extension RouterMachine {
    /// How long a copy may take before it counts as stuck: a million contacts take some seconds.
    static let fillPatience = Duration.seconds(60)

    mutating func noteFills(of assignment: Assignment, at now: MonotonicInstant) {
        let filling = assignment.standbys.filter { !$0.inSync }.map(\.node)
        guard !filling.isEmpty else {
            leadership?.fills[assignment.domain] = nil
            return
        }
        let known = leadership?.fills[assignment.domain] ?? [:]
        leadership?.fills[assignment.domain] = filling.reduce(into: [:]) { $0[$1] = known[$1] ?? now }
    }

    mutating func judgeFills(at now: MonotonicInstant) {
        guard let leadership else { return }
        var stuck: [NodeName: Int] = [:]
        for fills in leadership.fills.values {
            for (node, since) in fills where now - since >= Self.fillPatience { stuck[node.name, default: 0] += 1 }
        }
        guard stuck != leadership.stuckFills else { return }
        self.leadership?.stuckFills = stuck
        // What could not be begun before, here or elsewhere, may be now.
        self.leadership?.isPostponing = true
        for (name, count) in stuck.sorted(by: { $0.key < $1.key }) where leadership.stuckFills[name] == nil {
            emit(.log(.fillsStuck(name, count: count)))
        }
    }

    /// Of a domain's standbys those that take too long, in words.
    func fillReasons(_ assignment: Assignment, _ leadership: Leadership, at now: MonotonicInstant) -> [String] {
        assignment.standbys.compactMap { standby in
            guard let since = leadership.fills[assignment.domain]?[standby.node], now - since >= Self.fillPatience
            else { return nil }
            return "\(standby.node.name) has been filled for \((now - since).components.seconds) s and is not in sync: "
                + "see its log and its owner's; other copies there wait for it"
        }
    }
}
