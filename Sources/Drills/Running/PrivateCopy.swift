import ClusterRuntime
import Foundation

/// A topology file and the files it names, copied to a directory of their own, so that a second cluster of the same
/// topology keeps its secret, journals and coordinator to itself.
struct PrivateCopy {
    let directory: String
    let topologyFile: String

    /// - Throws: `DrillFailure.badFile` when the topology names something outside its own directory: the copy would
    ///   share it with the original.
    init(of topology: Topology) throws {
        let base = Self.directory(of: topology.file)
        var kept: [String] = []
        var problems: [FileProblem] = []
        func own(_ path: String, _ what: String) -> String? {
            let standard = URL(fileURLWithPath: path).standardizedFileURL.path
            if standard.hasPrefix(base + "/") { return String(standard.dropFirst(base.count + 1)) }
            problems.append(
                FileProblem(
                    file: topology.file, line: 1, wrong: "\(what) is at \(path)",
                    expected: "a path beneath the topology's own directory, so that a drill can have a copy"))
            return nil
        }
        switch topology.coordinator {
        case .embedded(let path): _ = own(path, "the coordinator")
        case .etcd(let etcd): problems += DrillEtcd.problems(etcd, of: topology)
        }
        if PrivateNetwork.isNeeded(by: topology) { problems += HostNetwork.problems(topology) }
        problems += DrillDestinations.problems(topology)
        switch topology.secret {
        case .file(let path): _ = own(path, "the secret")
        case .none: break
        }
        _ = own(topology.journal, "the journal")
        switch topology.directory {
        case .file(let path): kept += [own(path, "the directory")].compactMap(\.self)
        case .sqlite(let path):
            // The latest changes may still be in the log beside the database.
            kept += [path, path + "-wal"].compactMap { own($0, "the directory") }
        }
        kept += (topology.tokens.keys.map(\.path) + topology.tokens.keySets.map(\.path))
            .compactMap { own($0, "a token key") }
        guard problems.isEmpty else { throw DrillFailure.badFile(problems) }

        let files = FileManager.default
        directory =
            files.temporaryDirectory
            .appendingPathComponent("rollcall-drill-\(getpid())-\(UInt32.random(in: 0 ... .max))").path
        try files.createDirectory(
            atPath: "\(directory)/var/log", withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let name = (topology.file as NSString).lastPathComponent
        topologyFile = "\(directory)/\(name)"
        for path in Set([name] + kept).sorted() where files.fileExists(atPath: "\(base)/\(path)") {
            let target = "\(directory)/\(path)"
            try files.createDirectory(atPath: Self.directory(of: target), withIntermediateDirectories: true)
            try files.copyItem(atPath: "\(base)/\(path)", toPath: target)
        }
    }

    private static func directory(of file: String) -> String {
        URL(fileURLWithPath: file).standardizedFileURL.deletingLastPathComponent().path
    }
}
