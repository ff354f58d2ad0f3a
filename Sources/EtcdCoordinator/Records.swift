import ClusterRuntime
import Foundation
import RegistrarEvents

/// The keys of a cluster. All of them begin with its prefix and a slash.
struct Keyspace: Sendable {
    let prefix: String

    /// Whose lease lasts: a `TermRecord` that goes away with the lease.
    var leader: Data { Data("\(prefix)/leader".utf8) }
    /// The latest term: a `TermRecord`. Every store compares it.
    var term: Data { Data("\(prefix)/term".utf8) }
    /// The highest revision of an assignment given out, in digits.
    var revision: Data { Data("\(prefix)/revision".utf8) }
    /// What operators want moved, as `MovementWishes.text`.
    var wishes: Data { Data("\(prefix)/wishes".utf8) }

    /// The topology that was activated last, as `ActiveTopology.record`.
    var topology: Data { Data("\(prefix)/topology".utf8) }

    func assignment(of domain: DomainName) -> Data { Data("\(prefix)/assignments/\(domain.rawValue)".utf8) }

    var first: Data { Data("\(prefix)/".utf8) }
    /// The least key that does not begin with the prefix and a slash.
    var end: Data { Data("\(prefix)0".utf8) }

    func isAssignment(_ key: Data) -> Bool { key.starts(with: Data("\(prefix)/assignments/".utf8)) }
}

/// A term, and whose it is. An operator may read it: the records are JSON.
struct TermRecord: Codable, Hashable, Sendable {
    var term: UInt64
    /// Nil once the leader has resigned.
    var router: String?
    var incarnation: UInt64?

    init(term: UInt64, holder: NodeID?) {
        self.term = term
        router = holder?.name.rawValue
        incarnation = holder?.incarnation
    }

    var holder: NodeID? {
        guard let router, let incarnation else { return nil }
        return NodeID(name: NodeName(router), incarnation: incarnation)
    }
}

/// An assignment as it is stored.
struct AssignmentRecord: Codable, Hashable, Sendable {
    struct Standby: Codable, Hashable, Sendable {
        var name: String
        var incarnation: UInt64
        var in_sync: Bool
    }

    var domain: String
    var epoch: UInt64
    var revision: UInt64
    var owner: String?
    var owner_incarnation: UInt64?
    var standbys: [Standby]
    var cause: String
    var since: Int64

    init(_ assignment: Assignment) {
        domain = assignment.domain.rawValue
        epoch = assignment.epoch
        revision = assignment.revision
        owner = assignment.owner?.name.rawValue
        owner_incarnation = assignment.owner?.incarnation
        standbys = assignment.standbys.map {
            Standby(name: $0.node.name.rawValue, incarnation: $0.node.incarnation, in_sync: $0.inSync)
        }
        cause = assignment.cause.name
        since = assignment.since
    }

    /// Nil when the domain's name or the cause is none.
    var assignment: Assignment? {
        guard let domain = DomainName(domain), let cause = ClearReason.allCases.first(where: { $0.name == cause })
        else { return nil }
        var holder: NodeID?
        if let owner, let owner_incarnation {
            holder = NodeID(name: NodeName(owner), incarnation: owner_incarnation)
        }
        return Assignment(
            domain: domain, epoch: epoch, revision: revision, owner: holder,
            standbys: standbys.map {
                Assignment.Standby(
                    node: NodeID(name: NodeName($0.name), incarnation: $0.incarnation), inSync: $0.in_sync)
            },
            cause: cause, since: since)
    }
}

/// How records and messages become bytes, and records come back from them.
enum JSONForm {
    static func bytes(_ record: some Encodable) -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do { return try encoder.encode(record) } catch { preconditionFailure("a record that is no JSON: \(error)") }
    }

    /// - Throws: `damaged`, naming the key.
    static func read<Value: Decodable>(
        _ type: Value.Type, from pair: Gateway.KeyValue
    ) throws(EtcdFault) -> Value {
        do {
            return try JSONDecoder().decode(type, from: pair.value ?? Data())
        } catch {
            throw unreadable(pair.key)
        }
    }

    static func unreadable(_ key: Data) -> EtcdFault {
        .damaged("what etcd holds at \(String(decoding: key, as: UTF8.self)) cannot be read by this version")
    }
}
