import RegistrarEvents

extension Topology {
    /// What is most likely a slip of the pen, though a cluster can go by it; a sentence each. `rollcall check` and
    /// `apply` show them.
    public var remarks: [String] { destinations.flatMap(remarks(on:)) }

    /// Comparing names takes time: among more domains nothing is suggested.
    private static let comparedDomains = 1_000

    /// A destination may be made ready before the domains that it is for.
    private func remarks(on destination: DestinationSpec) -> [String] {
        let empty = (destination.filter.domains ?? []).filter { branch in
            !domains.contains { $0.name.isWithin(branch) }
        }
        return empty.map { branch in
            let known = domains.count <= Self.comparedDomains ? domains.map(\.name.rawValue) : []
            let hint = NearestName.of(branch.rawValue, among: known).map { " (did you mean \($0)?)" } ?? ""
            return "destination \(destination.name) is for \(branch), which no domain belongs to\(hint)"
        }
    }
}
