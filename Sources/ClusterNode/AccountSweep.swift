import ClusterRuntime
import DequeModule
import Dispatch
import Logging
import RegistrarEvents

/// Takes over changes of the accounts, and ends what is registered under those that are gone (`delete_aor`).
///
/// Only accounts that the directory itself reports as removed are swept: it has held them. A contact whose account it
/// never knew, such as one put in by REST, is somebody else's, and a directory that cannot be read reports nothing.
/// Each frontier sweeps the accounts of its own kind; that several do is of no harm, since the second finds nothing.
struct AccountSweep: Sendable {
    let directory: any AccountDirectory
    /// Whose accounts are this node's business.
    let kind: AccountKind
    /// Only these domains are served, at the moment.
    let domains: @Sendable () -> Set<DomainName>
    let registrar: any RegistrarClient
    /// How long a request may take.
    let deadline: Duration
    /// Told of the accounts whose registrations were just ended.
    let onEnded: @Sendable ([DirectoryChange.Removed]) -> Void
    let log: Logger
    /// Reading blocks, so it is not for the threads that tasks share.
    private let queue = DispatchQueue(label: "account-sweep")

    /// Accounts whose registrations are yet to be ended. At most those of two changes.
    private(set) var pending: Deque<DirectoryChange.Removed> = []
    private var lastFailure: String?

    /// How often the directory is looked at.
    static let interval = Duration.seconds(2)
    /// Requests under way at once, and in one turn: owners have other things to do.
    static let concurrency = 16
    static let perTurn = 1_000

    init(
        directory: any AccountDirectory, kind: AccountKind, domains: @escaping @Sendable () -> Set<DomainName>,
        registrar: any RegistrarClient,
        deadline: Duration, log: Logger, onEnded: @escaping @Sendable ([DirectoryChange.Removed]) -> Void = { _ in }
    ) {
        self.directory = directory
        self.kind = kind
        self.domains = domains
        self.registrar = registrar
        self.deadline = deadline
        self.log = log
        self.onEnded = onEnded
    }

    /// Turns until cancelled.
    consuming func run() async {
        var sweep = self
        while !Task.isCancelled {
            await sweep.turn()
            try? await Task.sleep(for: Self.interval)  // ends early only when cancelled, which the loop sees
        }
    }

    /// Looks at the directory, and ends some of what is to be ended.
    mutating func turn() async {
        await reload()
        var left = min(pending.count, Self.perTurn)
        while left > 0 {
            let accounts = Array(pending.prefix(min(left, Self.concurrency)))
            pending.removeFirst(accounts.count)
            left -= accounts.count
            // It may be back by now.
            let presences = accounts.map { (removed: $0, presence: directory.presence($0.domain, $0.account)) }
            let gone = presences.filter { $0.presence == .absent }.map(\.removed)
            pending.append(contentsOf: presences.filter { $0.presence == .unavailable }.map(\.removed))
            let refused = await end(gone)
            onEnded(gone.filter { !refused.contains($0) })
            pending.append(contentsOf: gone.filter(refused.contains))
            // The rest would hardly fare better now.
            if !refused.isEmpty { return }
        }
    }

    private mutating func reload() async {
        let result: Result<DirectoryChange?, DirectoryError> = await withCheckedContinuation { continuation in
            queue.async { [directory] in
                continuation.resume(
                    returning: Result { () throws(DirectoryError) in try directory.reloadIfChanged() })
            }
        }
        do throws(DirectoryError) {
            let change = try result.get()
            lastFailure = nil
            guard let change else { return }
            log.notice("accounts were read again; \(change.removed.count + change.unlisted) are gone")
            let served = domains()
            let removed = change.removed.filter { $0.account.kind == kind && served.contains($0.domain) }
            let room = 2 * DirectoryChange.maximumRemoved - pending.count
            pending.append(contentsOf: removed.prefix(room))
            let forgotten = change.unlisted + max(0, removed.count - room)
            if forgotten > 0 {
                log.warning("what \(forgotten) removed accounts have registered is left to run out: they are too many")
            }
        } catch {
            if error.description != lastFailure { log.error("accounts are kept as they were: \(error)") }
            lastFailure = error.description
        }
    }

    /// - Returns: those for which nobody did it.
    private func end(_ accounts: [DirectoryChange.Removed]) async -> Set<DirectoryChange.Removed> {
        await withTaskGroup(of: DirectoryChange.Removed?.self) { group in
            for removed in accounts {
                group.addTask { [registrar, deadline] in
                    let result = await registrar.perform(
                        .deleteAccount(removed.account), on: removed.domain, deadline: deadline)
                    if case .unregistered = result { return nil }
                    return removed
                }
            }
            return await group.reduce(into: []) { refused, removed in
                if let removed { refused.insert(removed) }
            }
        }
    }
}
