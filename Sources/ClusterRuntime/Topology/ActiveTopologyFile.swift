import Foundation

/// Where a node keeps the active topology beside its journal, so that it goes by that from its start on, whatever its
/// own topology file says, and also while no router is there to tell.
public struct ActiveTopologyFile: Sendable {
    public let path: String

    /// - Parameter directory: the node's own.
    public init(directory: String) { path = "\(directory)/active-topology.json" }

    /// Nil when there is none, or none that this version can read.
    public func read() -> ActiveTopology? {
        // The routers tell it again.
        guard let bytes = try? LocalFile.read(path, limit: Topology.maximumFileSize * 2),
            let text = String(validating: bytes, as: UTF8.self)
        else { return nil }
        return ActiveTopology(record: text)
    }

    /// - Returns: why it could not be written; nil when it was.
    public func write(_ topology: ActiveTopology) -> String? {
        do throws(FileFault) {
            try LocalFile.createDirectory(of: path)
            try LocalFile.replace(path, Array(topology.record.utf8))
            return nil
        } catch {
            return error.wrong
        }
    }
}

extension Topology {
    /// The newest active topology that any node on this machine was told of; this one when there is none.
    public func inForceHere() -> (topology: Topology, active: ActiveTopology) {
        // No directory yet: no node has ever run here.
        let names = (try? FileManager.default.contentsOfDirectory(atPath: journal)) ?? []
        return names.compactMap { kept(for: NodeName($0)) }.max { $0.active.version < $1.active.version }
            ?? (self, ActiveTopology(fileOf: self))
    }

    /// What a node goes by when it starts: the active topology that it was told of in an earlier life, else its file's;
    /// or, where that does not have it, what other nodes of this machine were told since. It has joined the cluster,
    /// and its directory was lost, or it had left before.
    ///
    /// One that cannot be read, or that is another cluster's, is passed over.
    public func inForce(for node: NodeName) -> (topology: Topology, active: ActiveTopology) {
        let own = kept(for: node) ?? (self, ActiveTopology(fileOf: self))
        guard own.topology.node(named: node) == nil else { return own }
        let here = inForceHere()
        let isBack = here.topology.node(named: node) != nil && here.active.version > own.active.version
        return isBack ? here : own
    }

    private func kept(for node: NodeName) -> (topology: Topology, active: ActiveTopology)? {
        let file = ActiveTopologyFile(directory: journalPath(of: node))
        // What is wrong with it is told when the routers send it again.
        guard let active = file.read(), let topology = try? active.topology(at: self.file),
            topology.cluster == cluster, topology.journal == journal
        else { return nil }
        return (topology, active)
    }
}
