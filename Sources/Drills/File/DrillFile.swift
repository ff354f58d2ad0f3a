package import ClusterRuntime
package import RegistrarEvents

/// A rehearsal as its file describes it: which cluster, under what load, what is done to it when, and what must hold.
///
/// A value that came from `load` or `parse` is checked in itself; whether it fits the topology is checked by
/// `problems(with:)`, since that file is another one.
package struct DrillFile: Hashable, Sendable {
    /// What the drill is called in reports.
    package let name: String
    /// The drill file, as it was named to `load`.
    package let file: String
    /// The topology's file: absolute, or relative to the working directory when the drill file's own path was.
    package let topology: String
    package let load: Load
    /// By time.
    package let steps: [Step]
    /// How long the load runs once everybody has registered.
    package let duration: Duration
    package let expect: Expectations
    /// Where the parts that name something of the topology stand in the file.
    let lines: Lines

    /// What the clients do.
    package struct Load: Hashable, Sendable {
        package var domain: DomainName
        /// Contacts that are registered before the steps begin.
        package var registrations: Int
        package var renewalsPerSecond: Int
        /// Unregistrations per second; each contact comes back about a second later.
        package var churnPerSecond: Int
        /// Websockets that follow the domain.
        package var subscribers: Int
        /// Whether the contacts are phones that register over SIP, and how.
        package var sip: SIP?

        static let maximumRegistrations = 1_000_000
        static let maximumRate = 50_000
        static let maximumSubscribers = 10_000
    }

    /// One thing done to the cluster.
    package struct Step: Hashable, Sendable {
        package let at: Duration
        package let action: Action
        let line: Int
    }

    package enum Action: Hashable, Sendable {
        /// SIGKILL: the process is gone between two instructions.
        case kill(Target)
        /// SIGSTOP: the process falls silent, and its connections stay open.
        case pause(Target)
        /// SIGCONT.
        case resume(Target)
        /// Starts what was killed.
        case start(Target)
        /// Moves everything away from a node, and takes that back.
        case drain(Target)
        case undrain(Target)
        /// Makes a node the owner of the load's domain.
        case move(Target)
        /// Restarts nodes one after the other, while the load and other steps go on.
        case restart(Target)
        /// Takes the links between hosts and all others away, which of them `Way` says.
        case cut(Place, Way)
        /// Makes those links slow or lossy, in both directions.
        case slow(Place, Slowness)
        /// Makes those links as they were.
        case heal(Place)
        /// Fills the disk of a node's journal, and gives the room back.
        case fill(Target)
        case free(Target)
        /// Ends the Kafka broker that the drill runs, and starts it again with what it had.
        case kafka(Power)
    }

    package enum Power: String, Hashable, Sendable { case stop, start }

    /// Whom a step means; roles are looked up in the moment of the step.
    package enum Target: Hashable, Sendable {
        /// The owner of the load's domain.
        case owner
        /// An in-sync standby of the load's domain.
        case standby
        /// The active router.
        case router
        /// The owner and every in-sync standby, at once.
        case copies
        /// The member of etcd that leads, and all members.
        case etcdLeader
        case etcd
        /// Every process of the cluster and of its etcd, at once.
        case everything
        /// Everything killed so far and not started again.
        case killed
        /// Everything paused so far and not resumed.
        case paused
        /// Everything drained so far and not undrained.
        case drained
        /// Everything filled so far and not freed.
        case filled
        /// Every node, one after the other.
        case rolling
        case node(NodeName)
    }

    /// What must hold for the drill to pass. That positions are whole and one order is kept is not negotiable.
    package struct Expectations: Hashable, Sendable {
        package var lost = 0
        /// Whether what is missing may have been voided: `clear` told every subscriber so, and nobody holds it.
        package var mayBeVoided = false
        package var stale = 0
        package var duplicated = 0
        /// Answers that no phone should get (`SIPCounts.errors`).
        package var sipErrors = 0
        /// Writes that were not acknowledged; nil when that is no matter, as with most faults.
        package var failed: Int?
        /// Subscribers' connections that were lost to nodes to which nothing was done; nil when that is no matter.
        package var strays: Int?
        /// Subscribers that could not go on from where they were; nil when that is no matter.
        package var resyncs: Int?
        /// From a fault to the routers' status showing what follows from it.
        package var detectWithin: Duration?
        /// From a fault to the first write that was sent after it and acknowledged.
        package var acceptWithin: Duration?
        /// The longest stretch without any acknowledgement, where the owner changes.
        package var gapWithin: Duration?
        /// From a fault to every subscriber's set being right again.
        package var convergeWithin: Duration?
        /// Who may own the load's domain in the end; empty when that is no matter.
        package var owners: [NodeName] = []
        /// Whether all copies are to be the same in the end, and every node is to say so.
        package var verify = false
    }

    struct Lines: Hashable, Sendable {
        var domain: Int
        var subscribers: Int
        var sip: Int
        var owners = 1
    }

    static let maximumSteps = 64
    static let maximumDuration: Duration = .seconds(3600)
}

/// Everything that is wrong with a drill file, sorted by line. Never empty.
package struct DrillFileError: Error, Hashable, Sendable, CustomStringConvertible {
    package let problems: [FileProblem]

    /// One problem a line.
    package var description: String { problems.map(\.description).joined(separator: "\n") }
}

extension DrillFile {
    /// What of the drill does not fit the topology it is for.
    package func problems(with topology: Topology) -> [FileProblem] {
        var problems: [FileProblem] = []
        if topology.domain(named: load.domain) == nil {
            problems.append(
                FileProblem(
                    file: file, line: lines.domain, wrong: "\(topology.file) has no domain \(load.domain)",
                    expected: "one of \(topology.domains.prefix(8).map(\.name.rawValue).joined(separator: ", "))"))
        }
        if load.subscribers > 0, topology.nodes(of: .wssubscr).isEmpty {
            problems.append(
                FileProblem(
                    file: file, line: lines.subscribers, wrong: "\(topology.file) has no wssubscr node",
                    expected: "one, or no subscribers"))
        }
        problems += sipProblems(with: topology) + hostProblems(with: topology) + kafkaProblems(with: topology)
        for name in expect.owners where topology.node(named: name)?.role != .sr {
            problems.append(
                FileProblem(
                    file: file, line: lines.owners, wrong: "\(topology.file) has no sr node \(name)",
                    expected: "one of \(topology.nodes(of: .sr).map(\.name.rawValue).joined(separator: ", "))"))
        }
        for step in steps {
            guard case .node(let name)? = step.action.target, topology.node(named: name) == nil else { continue }
            let names = topology.nodes.map(\.name.rawValue)
            problems.append(
                FileProblem(
                    file: file, line: step.line, wrong: "\(topology.file) has no node \(name)",
                    expected:
                        "owner, standby, router, killed, paused, drained or one of \(names.joined(separator: ", "))"))
        }
        return problems
    }
}

extension DrillFile.Action {
    /// Whose processes the action is about; nil when it is about hosts.
    package var target: DrillFile.Target? {
        switch self {
        case .kill(let target), .pause(let target), .resume(let target), .start(let target), .drain(let target),
            .undrain(let target), .move(let target), .restart(let target), .fill(let target), .free(let target):
            target
        case .cut(let place, _), .slow(let place, _), .heal(let place):
            if case .of(let target) = place { target } else { nil }
        case .kafka: nil
        }
    }

    /// Whether the action does something to the cluster, and does not only take that back.
    var isHarm: Bool {
        switch self {
        case .kill, .pause, .drain, .move, .restart, .cut, .slow, .fill, .kafka(.stop): true
        case .resume, .start, .undrain, .heal, .free, .kafka(.start): false
        }
    }

    /// Whether the action takes something away or moves it, so that times are measured from it.
    package var isFault: Bool {
        switch self {
        case .kill, .pause, .drain, .move, .cut: true
        case .resume, .start, .undrain, .restart, .slow, .heal, .fill, .free, .kafka: false
        }
    }
}

extension DrillFile.Action: CustomStringConvertible {
    package var description: String {
        switch self {
        case .kill(let target): "kill \(target)"
        case .pause(let target): "pause \(target)"
        case .resume(let target): "resume \(target)"
        case .start(let target): "start \(target)"
        case .drain(let target): "drain \(target)"
        case .undrain(let target): "undrain \(target)"
        case .move(let target): "move to \(target)"
        case .restart(let target): "restart \(target)"
        case .cut(let place, let way): way == .both ? "cut \(place)" : "cut \(place) \(way)"
        case .slow(let place, let slowness): "slow \(place) \(slowness)"
        case .heal(let place): "heal \(place)"
        case .fill(let target): "fill \(target)"
        case .free(let target): "free \(target)"
        case .kafka(let power): "kafka \(power.rawValue)"
        }
    }
}

extension DrillFile.Target: CustomStringConvertible {
    /// The words that are no node's name.
    private static let words: [String: Self] = [
        "owner": .owner, "standby": .standby, "router": .router, "copies": .copies, "etcd-leader": .etcdLeader,
        "etcd": .etcd, "everything": .everything, "killed": .killed, "paused": .paused, "drained": .drained,
        "filled": .filled, "rolling": .rolling,
    ]

    package init(_ text: String) { self = Self.words[text] ?? .node(NodeName(text)) }

    package var description: String {
        if case .node(let name) = self { return name.rawValue }
        return Self.words.first { $0.value == self }?.key ?? ""
    }
}
