import ClusterClients
import ClusterRuntime
import RegistrarEvents

/// What a drill expects of the cluster itself once everything has settled.
struct DrillEnding: Sendable {
    let drill: DrillFile
    let client: ClusterClient

    static let interval: Duration = .milliseconds(100)

    /// - Returns: what is not as expected, a line each.
    func misses() async throws -> [String] { try await ownerMiss() + copiesMiss() }

    /// The owner may be on its way.
    private func ownerMiss() async throws -> [String] {
        guard !drill.expect.owners.isEmpty else { return [] }
        let deadline = SystemClock.monotonic() + DrillSession.settleLimit
        var found = "no router says so"
        repeat {
            if let entry = await client.status()?.domains.first(where: { $0.name == drill.load.domain.rawValue }) {
                if let owner = entry.owner, entry.movingTo == nil, drill.expect.owners.contains(NodeName(owner)) {
                    return []
                }
                found = entry.owner ?? "nobody"
                if let next = entry.movingTo { found += ", on the way to \(next)" }
            }
            try await Task.sleep(for: Self.interval)
        } while SystemClock.monotonic() < deadline
        let names = drill.expect.owners.map(\.rawValue).joined(separator: " or ")
        return ["\(drill.load.domain) is owned by \(found) in the end, expected \(names)"]
    }

    /// As `rollcall verify` has it.
    private func copiesMiss() async throws -> [String] {
        guard drill.expect.verify else { return [] }
        let (found, silent) = try await client.compareCopies(
            of: [drill.load.domain.rawValue], within: DrillSession.settleLimit)
        var misses = found.filter { $0.result != .same }.map { comparison in
            let copies = comparison.copies.map {
                "\($0.role) \($0.node ?? "") \($0.epoch):\($0.seq)\($0.complete ? "" : " (filling)") \($0.digest)"
            }
            return "verify: \(comparison.domain) is \(comparison.result.rawValue): "
                + copies.joined(separator: ", ")
        }
        if !silent.isEmpty { misses.append("verify: \(silent.joined(separator: ", ")) did not answer") }
        return misses
    }
}
