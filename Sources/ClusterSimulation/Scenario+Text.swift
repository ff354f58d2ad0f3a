import ClusterRuntime

extension Scenario {
    /// What stands between what is done and what is expected to come of it.
    static let rule = "----"

    /// The scenario as a file. Reading it gives the same scenario.
    public var text: String {
        var lines = about.map { $0.isEmpty ? "#" : "# \($0)" }
        if !lines.isEmpty { lines.append("") }
        lines += settings.map { "\($0): \($1)" }
        lines.append("")
        lines += acts.map { "at \(Act.text($0.at)) \($0.act)" }
        lines.append(Self.rule)
        return (lines + (trace ?? [])).map { $0 + "\n" }.joined()
    }

    /// Those that are not as they are when nothing is said of them.
    private var settings: [(String, String)] {
        let calm = SimulationOptions.calm
        let gateways = options.gateways > 0 ? ", \(options.gateways) sg" : ""
        let others = "\(options.routers) router, \(options.registrars) sr, \(options.followers) wssubscr"
        var settings = [
            ("nodes", others + gateways),
            ("domains", "\(options.domains)"), ("replicas", "\(options.replicas)"),
        ]
        func add(_ name: String, _ text: String, when isUnusual: Bool) {
            if isUnusual { settings.append((name, text)) }
        }
        add("ring", "\(options.ringEntries)", when: options.ringEntries != calm.ringEntries)
        add(
            "delay", Act.text(.milliseconds(options.maximumDelay)), when: options.maximumDelay != calm.maximumDelay)
        add("loss", "\(options.loss)", when: options.loss > 0)
        add("duplication", "\(options.duplication)", when: options.duplication > 0)
        add("reordering", "\(options.reordering)", when: options.reordering > 0)
        add("drift", "\(options.drift)", when: options.drift > 0)
        add(
            "coordinator", Act.text(.milliseconds(options.coordinatorDelay)),
            when: options.coordinatorDelay != calm.coordinatorDelay)
        add("hints", "yes", when: options.vacancyHints)
        add("watches", Act.text(.milliseconds(options.watchDelay)), when: options.hasWatches)
        add("broker", Act.text(.milliseconds(options.brokerDelay)), when: options.hasBroker)
        add("unanswered", "\(options.unanswered)", when: options.unanswered > 0)
        add("refused", "\(options.refused)", when: options.refused > 0)
        add("missed", "\(options.missed)", when: options.missed > 0)
        add("queue", "\(options.brokerQueueBytes)", when: options.brokerQueueBytes != calm.brokerQueueBytes)
        add("spool", "\(options.brokerSpoolBytes)", when: options.brokerSpoolBytes != calm.brokerSpoolBytes)
        let window = options.window
        add(
            "window",
            "\(window.entries) \(window.chunks) \(window.slotsPerChunk) \(window.entriesPerMessage) "
                + "\(window.nearlyThere)", when: window != calm.window)
        add("turns", Act.text(.milliseconds(options.turnDelay)), when: options.turnDelay > 0)
        add("sockets", Act.text(.milliseconds(options.socketDelay)), when: options.socketDelay > 0)
        add(
            "grace", Act.text(.milliseconds(options.restartGrace)), when: options.restartGrace != calm.restartGrace)
        add(
            "rebalance", Act.text(.milliseconds(options.rebalanceAfter)),
            when: options.rebalanceAfter != calm.rebalanceAfter)
        add("availability", "accept", when: options.acceptsWithoutLease)
        add("recent", "\(options.recentEvents)", when: options.recentEvents != calm.recentEvents)
        add("slice", "\(options.sliceBytes)", when: options.sliceBytes != calm.sliceBytes)
        add("budget", "\(options.socketBudget)", when: options.socketBudget != calm.socketBudget)
        add("group", "\(options.groupSize)", when: options.groupSize > 0)
        add("quorum", "\(options.quorumSize)", when: options.quorumSize > 0)
        add("pin", options.pin.map { "s\($0 + 1)" }.joined(separator: " "), when: !options.pin.isEmpty)
        add("spread", "site", when: options.spreads)
        add("former", options.former.map(\.rawValue).joined(separator: " "), when: !options.former.isEmpty)
        if let bug = options.plantedBug { settings.append(("plant", bug.rawValue)) }
        if let chance { settings.append(("chance", "\(chance)")) }
        settings.append(("until", Act.text(length)))
        if case .broken(let promise) = ending { settings.append(("breaks", promise)) }
        return settings
    }
}
