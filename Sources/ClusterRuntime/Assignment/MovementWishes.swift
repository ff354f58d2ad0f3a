import Foundation
public import RegistrarEvents

/// What operators want moved: which nodes are to serve nothing, and which domains are to go where.
///
/// Kept at the coordinator, so that whoever leads next goes on with it.
public struct MovementWishes: Hashable, Sendable {
    /// Nodes that are to serve nothing until an operator takes that back, by name.
    public private(set) var drained: [NodeName] = []
    /// Which node is to own a domain. Fulfilled, or given up, it is a wish no more: owners are not pinned by it.
    public private(set) var moves: [DomainName: NodeName] = [:]

    public init() {}

    public var isEmpty: Bool { drained.isEmpty && moves.isEmpty }

    public func isDrained(_ node: NodeName) -> Bool { drained.contains(node) }

    public mutating func drain(_ node: NodeName) {
        guard !isDrained(node) else { return }
        drained.append(node)
        drained.sort()
    }

    public mutating func undrain(_ node: NodeName) { drained.removeAll { $0 == node } }

    public mutating func move(_ domain: DomainName, to node: NodeName) { moves[domain] = node }

    /// The domain need not be moved any more.
    public mutating func settle(_ domain: DomainName) { moves[domain] = nil }
}

extension MovementWishes {
    /// How coordinators keep the wishes: JSON such as `{"drained":["sr1"],"moves":{"a.example":"sr2"}}`. Later
    /// versions may add members; those not known are passed over.
    public var text: String {
        let stored = Stored(
            drained: drained.map(\.rawValue),
            moves: Dictionary(uniqueKeysWithValues: moves.map { ($0.key.rawValue, $0.value.rawValue) }))
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Strings can always be encoded.
        guard let data = try? encoder.encode(stored) else { preconditionFailure("\(stored) is not JSON") }
        return String(decoding: data, as: UTF8.self)
    }

    /// Nil when the text is not what `text` writes.
    public init?(text: String) {
        // What exactly is wrong with it helps nobody: no person wrote it.
        guard let stored = try? JSONDecoder().decode(Stored.self, from: Data(text.utf8)) else { return nil }
        stored.drained?.forEach { drain(NodeName($0)) }
        for (name, node) in stored.moves ?? [:] {
            guard let domain = DomainName(name) else { return nil }
            move(domain, to: NodeName(node))
        }
    }

    private struct Stored: Codable {
        var drained: [String]?
        var moves: [String: String]?
    }
}
