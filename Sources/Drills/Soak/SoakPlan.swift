import ClusterRuntime

/// Chooses what a soak does next: a load, and what is done to the cluster under it. The seed decides, and whether
/// processes may still be ended.
///
/// A drill file with steps is taken as it is; one without gives a load, for which one or two faults are chosen. Each
/// fault is taken back before the next, so that what is promised for the failure of one node holds throughout.
struct SoakPlan {
    /// One kind of fault.
    enum Fault: Hashable, CaseIterable {
        case killOwner, killStandby, killRouter, killFrontier, killGateway
        case pauseOwner, pauseStandby, pauseRouter, pauseFrontier
        case drainOwner, drainStandby, move

        var endsProcesses: Bool {
            switch self {
            case .killOwner, .killStandby, .killRouter, .killFrontier, .killGateway: true
            case .pauseOwner, .pauseStandby, .pauseRouter, .pauseFrontier, .drainOwner, .drainStandby, .move: false
            }
        }
    }

    private let topology: Topology
    private let drills: [DrillFile]
    private var random: SplitMix64
    private var order: [Int] = []
    private(set) var round = 0

    /// From the start of the load to the first fault, from a fault until it is taken back, from then to the next one,
    /// and from the last one's end to the end of the load.
    private static let (lead, length, rest) = (Duration.seconds(2), Duration.seconds(4), Duration.seconds(4))

    /// - Parameter drills: at least one, each fitting the topology.
    init(topology: Topology, drills: [DrillFile], seed: UInt64) {
        precondition(!drills.isEmpty, "a soak without a load")
        self.topology = topology
        self.drills = drills
        random = SplitMix64(seed: seed)
    }

    /// The next round.
    /// - Parameter kills: whether nodes' processes may be ended.
    mutating func next(kills: Bool) -> DrillFile {
        round += 1
        // Every drill has its turn before one comes again.
        if order.isEmpty { order = drills.indices.shuffled(using: &random) }
        let drill = drills[order.removeLast()]
        guard drill.steps.isEmpty else { return drill }
        let known = Fault.allCases.filter { (kills || !$0.endsProcesses) && isPossible($0, under: drill.load) }
        let faults = (0...Int.random(in: 0...1, using: &random)).compactMap { _ in known.randomElement(using: &random) }
        var steps: [DrillFile.Step] = []
        var at = Self.lead
        for fault in faults {
            steps += actions(of: fault).map { DrillFile.Step(at: at, action: $0, line: 0) }
            at += Self.length
            if let undone = undoing(fault) { steps.append(DrillFile.Step(at: at, action: undone, line: 0)) }
            at += Self.rest
        }
        return DrillFile(
            name: "round \(round)", file: drill.file, topology: drill.topology, load: drill.load, steps: steps,
            duration: at, expect: drill.expect, lines: drill.lines)
    }

    private func isPossible(_ fault: Fault, under load: DrillFile.Load) -> Bool {
        let replicas = topology.domain(named: load.domain)?.replicas ?? 1
        switch fault {
        case .killOwner: return true
        case .killStandby, .pauseOwner, .pauseStandby, .drainOwner, .drainStandby, .move:
            // A drained node's copies go to a third.
            return replicas > 1 && topology.nodes(of: .sr).count > replicas
        case .killRouter, .pauseRouter: return topology.nodes(of: .router).count > 1
        case .killFrontier, .pauseFrontier: return topology.nodes(of: .wssubscr).count > 1
        // The phones have but one.
        case .killGateway: return load.sip == nil && !topology.nodes(of: .sg).isEmpty
        }
    }

    private mutating func actions(of fault: Fault) -> [DrillFile.Action] {
        switch fault {
        case .killOwner: [.kill(.owner)]
        case .killStandby: [.kill(.standby)]
        case .killRouter: [.kill(.router)]
        case .killFrontier: [.kill(node(of: .wssubscr))]
        case .killGateway: [.kill(node(of: .sg))]
        case .pauseOwner: [.pause(.owner)]
        case .pauseStandby: [.pause(.standby)]
        case .pauseRouter: [.pause(.router)]
        case .pauseFrontier: [.pause(node(of: .wssubscr))]
        case .drainOwner: [.drain(.owner)]
        case .drainStandby: [.drain(.standby)]
        case .move: [.move(.standby)]
        }
    }

    private func undoing(_ fault: Fault) -> DrillFile.Action? {
        switch fault {
        case .killOwner, .killStandby, .killRouter, .killFrontier, .killGateway: .start(.killed)
        case .pauseOwner, .pauseStandby, .pauseRouter, .pauseFrontier: .resume(.paused)
        case .drainOwner, .drainStandby: .undrain(.drained)
        case .move: nil
        }
    }

    private mutating func node(of role: NodeRole) -> DrillFile.Target {
        guard let node = topology.nodes(of: role).randomElement(using: &random) else {
            preconditionFailure("a fault of a role that no node has")
        }
        return .node(node.name)
    }
}
