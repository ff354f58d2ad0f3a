import ClusterRuntime
import NIOCore
import Synchronization

/// A connection on which nothing has been granted yet: it is closed when no message comes in time, or when by another
/// time none was that is granted. Whoever only keeps connections open would have them all otherwise.
///
/// Legal transitions: silent -> asking with the first message, and both -> over with the first grant or the
/// connection's end. Lives on its channel's event loop.
final class Probation {
    private enum Stage { case silent, asking, over }

    private let channel: any Channel
    private let network: String
    private let newcomers: Newcomers
    private let grantTime: TimeAmount
    private var stage = Stage.silent
    private var timer: Scheduled<Void>

    /// - Returns: nil when the network has too many connections of this kind already.
    init?(_ channel: any Channel, _ network: String, _ newcomers: Newcomers, open: Int, settings: SIPSettings) {
        guard newcomers.begin(network, open: open) else { return nil }
        self.channel = channel
        self.network = network
        self.newcomers = newcomers
        grantTime = TimeAmount(settings.firstGrantTime)
        timer = Self.close(channel, in: TimeAmount(settings.firstMessageTime))
        channel.closeFuture.assumeIsolated().whenComplete { _ in self.end() }
    }

    /// A message came.
    func spoke() {
        guard stage == .silent else { return }
        stage = .asking
        timer.cancel()
        timer = Self.close(channel, in: grantTime)
    }

    /// A request of the connection was granted, or the connection is no more.
    func end() {
        guard stage != .over else { return }
        stage = .over
        timer.cancel()
        newcomers.end(network)
    }

    private static func close(_ channel: any Channel, in time: TimeAmount) -> Scheduled<Void> {
        channel.eventLoop.scheduleTask(in: time) { channel.close(promise: nil) }
    }
}

/// How many connections of each network have had nothing granted yet. Shared by all event loops.
///
/// While fewer than half of the node's connections are in use it does not matter. Beyond that a network may have a
/// sixteenth of them, unless the topology says that many devices share it.
final class Newcomers: Sendable {
    private let counts = Mutex<[String: Int]>([:])
    private let shared: Set<String>
    /// Open connections of the node from which on the share counts.
    private let plenty: Int
    private let share: Int

    private static let smallestShare = 16

    init(limit: Int, shared: [String]) {
        self.shared = Set(shared)
        plenty = limit / 2
        share = max(limit / 16, Self.smallestShare)
    }

    /// - Parameter open: connections of the node.
    /// - Returns: whether there is room for one more.
    func begin(_ network: String, open: Int) -> Bool {
        counts.withLock { counts in
            let count = counts[network, default: 0]
            guard open < plenty || count < share || shared.contains(network) else { return false }
            counts[network] = count + 1
            return true
        }
    }

    func end(_ network: String) {
        counts.withLock { counts in
            let left = counts[network, default: 1] - 1
            counts[network] = left > 0 ? left : nil
        }
    }

    /// Networks that have such connections.
    var count: Int { counts.withLock { $0.count } }
}
