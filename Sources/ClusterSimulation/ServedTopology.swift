import ClusterRuntime
import RegistrarEvents

/// What an operator has the cluster go by: the text of a simulated topology.
///
/// Which domains there are, such as `a.example b.example`, then what differs from how the history began: `pin:s2,s1`
/// of the first domain (`pin:` alone: none), `devices:2` of an account, `without:s4,s5` (`sr` nodes that are no more).
struct ServedTopology: Hashable {
    var domains: [DomainName]
    /// Nil: as the history began.
    var pin: [NodeName]?
    /// Nil: as the history began.
    var devices: Int?
    var without: [NodeName] = []

    init(domains: [DomainName]) { self.domains = domains }

    /// - Returns: nil when it is none.
    init?(_ text: String) {
        self.init(domains: [])
        for word in text.split(separator: " ") {
            let parts = word.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let names = (parts.count == 2 ? parts[1] : "").split(separator: ",").map { NodeName(String($0)) }
            switch (parts.count, parts[0]) {
            case (2, "pin"): pin = names
            case (2, "without"): without = names
            case (2, "devices"):
                guard let devices = Int(parts[1]), devices > 0 else { return nil }
                self.devices = devices
            case (1, _):
                guard let domain = DomainName(String(word)), !domains.contains(domain) else { return nil }
                domains.append(domain)
            default: return nil
            }
        }
        guard !domains.isEmpty else { return nil }
    }

    var text: String {
        var words = domains.map(\.rawValue)
        if let pin { words.append("pin:" + pin.map(\.rawValue).joined(separator: ",")) }
        if let devices { words.append("devices:\(devices)") }
        if !without.isEmpty { words.append("without:" + without.map(\.rawValue).joined(separator: ",")) }
        return words.joined(separator: " ")
    }
}
