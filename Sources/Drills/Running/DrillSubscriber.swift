import ClusterClients
import ClusterRuntime
import NIOCore
import RegistrarEvents
import Synchronization

/// One subscriber of a drill: follows the domain over a websocket, keeps its set, and goes to another node with its
/// last position when it is cut off.
final class DrillSubscriber: Sendable {
    private struct State {
        var view: SubscriberView
        var ready = false
        /// Nothing is missing up to its position, as there is in the middle of a snapshot.
        var isWhole = false
        /// The node to which the last connection was lost, until it is made up for.
        var lostAt: NodeName?
        var lastProblem: String?
    }

    private let index: Int
    private let domain: DomainName
    private let nodes: [NodeSpec]
    private let names: ContactNames
    private let recorder: HistoryRecorder
    private let connections: ConnectionLog
    private let token: String?
    private let state: Mutex<State>

    init(
        index: Int, domain: DomainName, contacts: Int, nodes: [NodeSpec], names: ContactNames,
        recorder: HistoryRecorder, connections: ConnectionLog, token: String?
    ) {
        self.index = index
        self.domain = domain
        self.nodes = nodes
        self.names = names
        self.recorder = recorder
        self.connections = connections
        self.token = token
        state = Mutex(State(view: SubscriberView(name: "subscriber \(index)", contacts: contacts)))
    }

    /// Whether it has been given its first set (or the beginning of it).
    var isReady: Bool { state.withLock(\.ready) }
    var lastProblem: String? { state.withLock(\.lastProblem) }
    var view: SubscriberView { state.withLock(\.view) }
    var position: Position { state.withLock(\.view.position) }

    /// Follows until cancelled.
    func run() async {
        var attempt = 0
        while !Task.isCancelled {
            let node = nodes[(index + attempt) % nodes.count]
            do {
                try await follow(through: node)
            } catch {
                state.withLock { $0.lastProblem = "\(node.name): \(error)" }
            }
            attempt += 1
            try? await Task.sleep(for: .milliseconds(50))  // Cancelled: the loop's condition sees it.
        }
    }

    private func follow(through node: NodeSpec) async throws {
        let after = state.withLock { $0.isWhole ? $0.view.position : nil }
        let follower = DomainFollower(domain: domain, node: node, token: token, after: after, snapshot: true)
        var hadConnection = false
        var isWhole = after != nil
        defer { if hadConnection, !Task.isCancelled { lost(node) } }
        let onSynced = { (_: Position?) in self.synced(node, isWhole: isWhole) }
        try await follower.run(onSynced: onSynced) { notification in
            hadConnection = true
            if notification.isOwnClear { isWhole = false }
            self.take(notification)
        }
    }

    private func lost(_ node: NodeSpec) {
        state.withLock { $0.lostAt = node.name }
        connections.lost(node.name)
    }

    /// Everything up to now was handed over.
    /// - Parameter isWhole: whether it went on from where it was.
    private func synced(_ node: NodeSpec, isWhole: Bool) {
        let lostAt = state.withLock { state in
            state.isWhole = true
            defer { state.lostAt = nil }
            return state.lostAt
        }
        if let lostAt { connections.resumed(after: lostAt, at: node.name, isWhole: isWhole) }
    }

    private func take(_ notification: RegistrarNotification) {
        let now = SystemClock.monotonic()
        guard let event = SubscriberView.Event(notification, names) else { return }
        let inLog = state.withLock { state in
            state.ready = true
            state.isWhole = !notification.isOwnClear && (state.isWhole || event.position != state.view.position)
            return state.view.apply(event, at: now)
        }
        guard inLog else { return }
        let logged: LoggedEvent
        switch event.change {
        case .registered(let contact):
            logged = LoggedEvent(.registered, contact, replay: event.replay, cseq: event.cseq)
        case .unregistered(let contact): logged = LoggedEvent(.unregistered, contact)
        case .clear: logged = LoggedEvent(.clear, nil)
        }
        recorder.saw(logged, at: event.position, by: "subscriber \(index)")
        if case .registered(let contact?) = event.change, !event.replay, let cseq = event.cseq {
            recorder.saw(cseq: cseq, of: contact, at: event.position)
        }
    }
}

extension SubscriberView.Event {
    /// Nil when it is none of these.
    init?(_ notification: RegistrarNotification, _ names: ContactNames) {
        func number(_ contact: String) -> ContactNumber? { names.number(id: contact, uri: notification.contactURI) }
        let change: Change
        switch notification.change {
        case .registered(_, _, let contact): change = .registered(number(contact))
        case .unregistered(_, _, let contact, _): change = .unregistered(number(contact))
        case .clear: change = .clear(own: notification.isOwnClear)
        case .other: return nil
        }
        self.init(notification.position, change, replay: notification.replay, cseq: notification.cseq)
    }
}
