import Foundation

/// The topology that a running cluster goes by: the text of a topology file, and which of those that were activated it
/// is. Kept at the coordinator, and handed to every node.
///
/// The text stands for itself wherever it is read: each node resolves its relative paths as if it stood in the node's
/// own topology file.
public struct ActiveTopology: Hashable, Sendable {
    /// Counts the topologies that were activated, from 1. 0: none was yet, and the text is that of a node's own file.
    public var version: UInt64
    public var text: String
    /// When it was activated, in milliseconds since 1970 on the router's clock (for people); 0 with version 0.
    public var since: Int64

    /// Largest text that can be activated, in bytes: etcd takes 1.5 MiB in one request. More than 20,000 domains of a
    /// line each.
    public static let maximumBytes = 1 << 20

    public init(version: UInt64, text: String, since: Int64) {
        self.version = version
        self.text = text
        self.since = since
    }

    /// What a topology's own file says, before anything was activated.
    public init(fileOf topology: Topology) { self.init(version: 0, text: topology.source, since: 0) }

    /// Reads and checks the text as if it stood in the file at `path`.
    /// - Throws: everything that is wrong with it, each with its line.
    public func topology(at path: String) throws(TopologyError) -> Topology {
        try Topology.parse(text, path: path)
    }
}

extension ActiveTopology {
    /// How coordinators and nodes keep it: JSON such as `{"since":1761000000000,"text":"cluster: …","version":3}`.
    /// Later versions may add members; those not known are passed over.
    public var record: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Strings and numbers can always be encoded.
        guard let data = try? encoder.encode(Stored(since: since, text: text, version: version)) else {
            preconditionFailure("version \(version) of the topology is not JSON")
        }
        return String(decoding: data, as: UTF8.self)
    }

    /// Nil when it is not what `record` writes.
    public init?(record: String) {
        // What exactly is wrong with it helps nobody: no person wrote it.
        guard let stored = try? JSONDecoder().decode(Stored.self, from: Data(record.utf8)), stored.version > 0 else {
            return nil
        }
        self.init(version: stored.version, text: stored.text, since: stored.since)
    }

    private struct Stored: Codable {
        var since: Int64
        var text: String
        var version: UInt64
    }
}

// MARK: On the wire

extension ActiveTopology {
    /// The text in parts, each well within the smallest frame that a topology may ask for.
    public func parts(term: UInt64) -> [TopologyPart] {
        let bytes = Array(text.utf8)
        let count = max(1, (bytes.count + TopologyPart.maximumBytes - 1) / TopologyPart.maximumBytes)
        return (0..<count).map { index in
            let from = index * TopologyPart.maximumBytes
            return TopologyPart(
                term: term, version: version, since: since, index: UInt32(index), count: UInt32(count),
                bytes: Array(bytes[from..<min(bytes.count, from + TopologyPart.maximumBytes)]))
        }
    }
}

/// Puts an active topology together from its parts, which come in order or, when some were lost, again from the first.
struct TopologyAssembly: Sendable {
    private var next: UInt32 = 0
    private var begun: (version: UInt64, since: Int64, count: UInt32) = (0, 0, 0)
    private var bytes: [UInt8] = []

    /// - Returns: the whole, once its last part is there.
    mutating func take(_ part: TopologyPart) -> ActiveTopology? {
        if part.index == 0 {
            begun = (part.version, part.since, part.count)
            bytes = []
            next = 0
        }
        guard begun == (part.version, part.since, part.count), part.index == next,
            bytes.count + part.bytes.count <= Topology.maximumFileSize
        else { return nil }
        bytes += part.bytes
        next += 1
        guard next == part.count else { return nil }
        defer { self = TopologyAssembly() }
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        return ActiveTopology(version: part.version, text: text, since: part.since)
    }
}
