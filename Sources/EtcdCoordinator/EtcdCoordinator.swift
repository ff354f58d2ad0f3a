public import ClusterRuntime
import Foundation
public import Logging
import RegistrarEvents
import Synchronization

/// A coordinator in etcd (version 3.4 or later), for clusters whose routers run on several machines.
///
/// Whoever leads has an etcd lease, and the key `PREFIX/leader` bound to it; when the lease ends, etcd removes the key.
/// The term is counted at `PREFIX/term`, which stays. A store is one transaction: it happens only while the term's
/// record is the one of the caller's term, and every assignment is where the caller believes it to be. So a router that
/// was held up, or cut off, changes nothing when it wakes.
///
/// Etcd counts leases in whole seconds and grants at least one and a half of its election timeouts (2 s by default). A
/// shorter lease is rounded up: that delays a takeover and harms nothing.
///
/// An operator may look at everything with `etcdctl get --prefix PREFIX/`.
public final class EtcdCoordinator: Coordinator {
    /// Keys in one answer, some 500 KiB of them.
    static let pageSize: Int64 = 1000
    /// How often a campaign looks again when another router was faster.
    private static let campaignAttempts = 3
    /// How often everything is read again when etcd compacted what was being read.
    private static let readAttempts = 3

    private let gateway: EtcdGateway
    private let keys: Keyspace
    private let ledger = Mutex<Ledger?>(nil)
    /// How long an endpoint is given to answer: short, so that another can be asked while the lease lasts.
    private let patience: Duration
    /// Pages of everything are larger, and may cross a slow line; none of their bytes may be late by `leadership`.
    private let readPatience: Duration

    /// Prepares the way; nothing is asked yet.
    /// - Parameter leadership: the lease that routers will campaign for; from it follow the time limits of calls.
    /// - Throws: `unavailable` when a file of the TLS settings cannot be used.
    public init(_ spec: EtcdSpec, leadership: Duration, logger: Logger) throws(CoordinatorError) {
        patience = leadership / 4
        readPatience = leadership * 4
        gateway = try EtcdGateway(spec, connecting: leadership / 8, reading: leadership, logger: logger)
        keys = Keyspace(prefix: spec.prefix)
    }

    /// Closes the connections. To be called once, before the value is let go.
    public func shutDown() async { await gateway.shutDown() }

    /// Each endpoint that was asked, and whether it answered the last time.
    public var endpoints: [(url: String, answers: Bool)] { gateway.endpoints }

    public func campaign(
        as router: NodeID, lease: Duration, above floor: UInt64
    ) async throws(CoordinatorError) -> Campaign {
        do throws(EtcdFault) {
            for _ in 0..<Self.campaignAttempts {
                let seen = try await leadership()
                if let leader = seen.leader, let holder = leader.record.holder {
                    if holder == router, leader.record.term >= floor {
                        if try await keepAlive(leader) { return .leading(term: leader.record.term) }
                        continue
                    }
                    let isLaterLife = holder.name == router.name && holder.incarnation < router.incarnation
                    guard holder == router || isLaterLife else { return .standby(leader: holder) }
                }
                if let term = try await begin(after: seen, above: floor, router, lease) { return .leading(term: term) }
            }
            return .standby(leader: nil)
        } catch {
            throw error.coordinatorError
        }
    }

    public func resign(term: UInt64) async throws(CoordinatorError) {
        do throws(EtcdFault) {
            let seen = try await leadership()
            guard let latest = seen.term, latest.record.term == term, latest.record.holder != nil else { return }
            let resigned = JSONForm.bytes(TermRecord(term: term, holder: nil))
            let _: Gateway.TransactionReply = try await gateway.call(
                "kv/txn",
                Gateway.Transaction(
                    compare: [.change(of: keys.term, isAt: latest.modified)],
                    success: [.put(keys.term, resigned), .delete(keys.leader)]),
                within: patience)
        } catch {
            throw error.coordinatorError
        }
    }

    public func load() async throws(CoordinatorError) -> StoredAssignments { try await read().stored }

    public func store(
        _ changes: [AssignmentChange], wishes: MovementWishes?, above floor: UInt64, term: UInt64
    ) async throws(CoordinatorError) -> StoreOutcome {
        precondition(changes.count <= AssignmentChange.storeLimit, "\(changes.count) changes in one store")
        if ledger.withLock({ $0?.term != term }) { _ = try await read() }
        guard var known = ledger.withLock(\.self), known.term == term else { return .deposed }
        // Unless all goes well from here on, the next store is to read first.
        ledger.withLock { $0 = nil }
        guard let plan = known.plan(changes, wishes, above: floor) else { return .conflict }
        let reply: Gateway.TransactionReply
        do throws(EtcdFault) {
            // Of a transaction that is asked for twice one is carried out: each moves the counter that each compares.
            // The other is a conflict, upon which everything is read again.
            reply = try await gateway.call("kv/txn", plan.transaction, within: patience, isUrgent: true)
        } catch {
            throw error.coordinatorError
        }
        guard reply.succeeded == true, let revision = reply.header.revision?.value else {
            return reply.found(at: 0)?.value == known.fence ? .conflict : .deposed
        }
        known.took(plan.assignments, at: revision)
        ledger.withLock { [known] in $0 = known }
        return .stored(plan.assignments)
    }

    public func activate(
        _ topology: ActiveTopology, term: UInt64
    ) async throws(CoordinatorError) -> StoreOutcome {
        if ledger.withLock({ $0?.term != term }) { _ = try await read() }
        guard let known = ledger.withLock(\.self), known.term == term else { return .deposed }
        let transaction = Gateway.Transaction(
            // One that was asked for twice and comes late must not undo what came after it.
            compare: [
                .value(of: keys.term, is: known.fence), .change(of: keys.topology, isAt: known.topologyModified),
            ],
            success: [.put(keys.topology, Data(topology.record.utf8))], failure: [.get(keys.term)])
        let reply: Gateway.TransactionReply
        do throws(EtcdFault) {
            reply = try await gateway.call("kv/txn", transaction, within: patience, isUrgent: true)
        } catch {
            ledger.withLock { $0 = nil }
            throw error.coordinatorError
        }
        guard reply.succeeded == true, let revision = reply.header.revision?.value else {
            ledger.withLock { $0 = nil }
            return reply.found(at: 0)?.value == known.fence ? .conflict : .deposed
        }
        ledger.withLock { if $0?.term == term { $0?.topologyModified = revision } }
        return .stored([])
    }

    public func watch(vacant: @escaping @Sendable () -> Void) async {
        await LeaderWatch(gateway, key: keys.leader, patience: patience).run(vacant)
    }
}

extension EtcdCoordinator {
    /// The records of the latest term and of the leader, as they were at one moment.
    private struct Leadership {
        struct Entry {
            let record: TermRecord
            let modified: Int64
            /// 0 without.
            let lease: Int64

            init(_ pair: Gateway.KeyValue) throws(EtcdFault) {
                record = try JSONForm.read(TermRecord.self, from: pair)
                modified = pair.mod_revision.value
                lease = pair.lease?.value ?? 0
            }
        }

        /// Nil before the first term.
        var term: Entry?
        /// Nil while nobody has a lease.
        var leader: Entry?
    }

    private func leadership() async throws(EtcdFault) -> Leadership {
        let reply: Gateway.TransactionReply = try await gateway.call(
            "kv/txn", Gateway.Transaction(success: [.get(keys.term), .get(keys.leader)]), within: patience)
        var seen = Leadership()
        if let pair = reply.found(at: 0) { seen.term = try Leadership.Entry(pair) }
        if let pair = reply.found(at: 1) { seen.leader = try Leadership.Entry(pair) }
        return seen
    }

    /// The leader's key was read first, so the lease was this router's after the campaign began. It also means that
    /// etcd had a quorum then: a lease alone would be prolonged by a member that is cut off.
    private func keepAlive(_ leader: Leadership.Entry) async throws(EtcdFault) -> Bool {
        let reply: Gateway.KeepAliveReply = try await gateway.call(
            "lease/keepalive", Gateway.KeepAlive(ID: .init(leader.lease)), within: patience)
        return (reply.result.TTL?.value ?? 0) > 0
    }

    /// Begins the next term, unless something has changed since. A lease that comes to nothing ends by itself.
    /// - Returns: the term; nil when what was seen is no longer so.
    private func begin(
        after seen: Leadership, above floor: UInt64, _ router: NodeID, _ lease: Duration
    ) async throws(EtcdFault) -> UInt64? {
        let seconds = max(1, (lease.milliseconds + 999) / 1000)
        let granted: Gateway.GrantReply = try await gateway.call(
            "lease/grant", Gateway.Grant(TTL: .init(seconds)), within: patience)
        let next = TermRecord(term: max(seen.term?.record.term ?? 0, floor) + 1, holder: router)
        let record = JSONForm.bytes(next)
        let reply: Gateway.TransactionReply = try await gateway.call(
            "kv/txn",
            Gateway.Transaction(
                compare: [
                    .change(of: keys.term, isAt: seen.term?.modified ?? 0),
                    .change(of: keys.leader, isAt: seen.leader?.modified ?? 0),
                ],
                success: [.put(keys.term, record), .put(keys.leader, record, lease: granted.ID.value)]),
            within: patience)
        return reply.succeeded == true ? next.term : nil
    }

    /// Reads everything, and keeps the ledger of it.
    private func read() async throws(CoordinatorError) -> Contents {
        do throws(EtcdFault) {
            for attempt in 1... {
                do throws(EtcdFault) {
                    let contents = try await readPages()
                    let entries = Ledger(contents, keys)
                    ledger.withLock { $0 = entries }
                    return contents
                } catch {
                    guard error.isCompacted, attempt < Self.readAttempts else { throw error }
                }
            }
        } catch {
            throw error.coordinatorError
        }
        preconditionFailure("the last attempt neither succeeded nor threw")
    }

    /// Page by page, each as it was at the first one's revision.
    private func readPages() async throws(EtcdFault) -> Contents {
        var contents = Contents()
        var page = Gateway.Range(key: keys.first, range_end: keys.end, limit: .init(Self.pageSize))
        while true {
            let reply: Gateway.RangeReply = try await gateway.call(
                "kv/range", page, within: readPatience, isUrgent: true)
            let pairs = reply.kvs ?? []
            for pair in pairs { try contents.take(pair, keys) }
            guard reply.more == true, let last = pairs.last else { return contents }
            page.revision = page.revision ?? reply.header.revision
            page.key = last.key + [0]
        }
    }
}
