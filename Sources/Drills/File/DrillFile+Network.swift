package import ClusterRuntime

extension DrillFile {
    /// Which packets of a side a cut takes: those it is sent, those it sends, or both.
    package enum Way: String, Hashable, Sendable, CaseIterable { case `in`, out, both }

    /// Which hosts a step means.
    package enum Place: Hashable, Sendable {
        /// All of them: every link between two hosts.
        case everywhere
        /// A server's, or those of all servers of a site.
        case named(String)
        /// Where the target runs at the moment of the step.
        case of(Target)
    }

    /// What is done to the links of a place.
    package struct Slowness: Hashable, Sendable {
        /// By how much later each packet arrives.
        package var delay: Duration
        /// The share of packets that is lost, in percent.
        package var loss: Int

        package init(delay: Duration = .zero, loss: Int = 0) {
            self.delay = delay
            self.loss = loss
        }
    }

    /// Whether journals need small disks, for a step to fill one.
    var needsDisks: Bool {
        steps.contains { step in
            if case .fill = step.action { true } else { false }
        }
    }

    /// Whether it has to be run in a `PrivateNetwork`, unless the cluster runs already.
    package func needsPrivateNetwork(on topology: Topology) -> Bool {
        PrivateNetwork.isNeeded(by: topology) || needsDisks
    }

    /// What is done to the cluster, without what only takes it back.
    package var faults: [String] {
        steps.map(\.action).filter(\.isHarm).map(\.description)
    }

    static let maximumDelay: Duration = .seconds(10)

    /// Reads `cut`, `slow` and `heal`.
    static func readNetworkAction(_ fields: DrillFields, _ key: String, _ item: DrillValue) -> Action? {
        let roles = ["owner", "standby", "router", "etcd-leader"]
        let whole = key == "cut" ? [] : ["all"]
        guard let text = item.text("\((whole + roles).joined(separator: ", ")), a server's or a site's name") else {
            return nil
        }
        let place: Place
        if text == "all", key != "cut" {
            place = .everywhere
        } else if roles.contains(text), key != "heal" {
            place = .of(Target(text))
        } else if case .node = Target(text) {
            place = .named(text)
        } else {
            let names = (whole + (key == "heal" ? [] : roles)).joined(separator: ", ")
            item.reject("found `\(text)`", expected: "\(names), or a server's or a site's name")
            return nil
        }
        switch key {
        case "cut":
            guard let way = fields["way"] else { return .cut(place, .both) }
            guard let text = way.text("in, out or both") else { return nil }
            if let way = Way(rawValue: text) { return .cut(place, way) }
            way.reject("found `\(text)`", expected: "in, out or both")
            return nil
        case "slow":
            guard fields["delay"] != nil || fields["loss"] != nil else {
                item.reject("slow without delay and loss", expected: "delay: 200ms, loss: 20%, or both")
                return nil
            }
            let delay = fields["delay"].map { $0.duration(upTo: maximumDelay) } ?? .zero
            let loss = fields["loss"].map { $0.percentage() } ?? 0
            guard let delay, let loss else { return nil }
            return .slow(place, Slowness(delay: delay, loss: loss))
        default: return .heal(place)
        }
    }

    /// What of the steps on the broker does not fit the topology.
    func kafkaProblems(with topology: Topology) -> [FileProblem] {
        let hasKafka = topology.destinations.contains { if case .kafka = $0.kind { true } else { false } }
        return steps.filter { if case .kafka = $0.action { !hasKafka } else { false } }.map { step in
            FileProblem(
                file: file, line: step.line, wrong: "\(topology.file) has no Kafka",
                expected: "a topology with destinations.kafka")
        }
    }

    /// What of the steps on hosts and coordinator does not fit the topology.
    func hostProblems(with topology: Topology) -> [FileProblem] {
        func problem(_ step: Step, _ wrong: String, _ expected: String) -> FileProblem {
            FileProblem(file: file, line: step.line, wrong: wrong, expected: expected)
        }
        let servers = topology.sites.flatMap(\.servers).map(\.name)
        let names = servers + topology.sites.map(\.name)
        let hasEtcd = if case .etcd = topology.coordinator { true } else { false }
        return steps.flatMap { step -> [FileProblem] in
            var found: [FileProblem] = []
            if let place = step.action.place {
                if !PrivateNetwork.isNeeded(by: topology) {
                    found.append(
                        problem(
                            step, "\(step.action), and all servers of \(topology.file) share one address",
                            "a topology whose servers have addresses of their own"))
                }
                if case .named(let name) = place, !names.contains(name) {
                    found.append(
                        problem(
                            step, "\(topology.file) has no server and no site \(name)",
                            "one of \(names.joined(separator: ", "))"))
                }
            }
            switch step.action.target {
            case .etcdLeader, .etcd:
                if !hasEtcd {
                    found.append(problem(step, "\(topology.file) has no etcd", "a topology with coordinator etcd"))
                }
            default: break
            }
            return found
        }
    }
}

extension DrillFile.Action {
    /// The hosts that the action is about, if it is about hosts.
    package var place: DrillFile.Place? {
        switch self {
        case .cut(let place, _), .slow(let place, _), .heal(let place): place
        case .kill, .pause, .resume, .start, .drain, .undrain, .move, .restart, .fill, .free, .kafka: nil
        }
    }
}

extension DrillFile.Place: CustomStringConvertible {
    package var description: String {
        switch self {
        case .everywhere: "all"
        case .named(let name): name
        case .of(let target): "\(target)"
        }
    }
}

extension DrillFile.Slowness: CustomStringConvertible {
    package var description: String {
        [delay > .zero ? "by \(delay.milliseconds) ms" : nil, loss > 0 ? "losing \(loss)%" : nil]
            .compactMap(\.self).joined(separator: ", ")
    }
}
