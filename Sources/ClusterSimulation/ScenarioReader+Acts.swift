import ClusterRuntime
import RegistrarEvents

/// What is done, line by line. `Act.description` writes what is read here.
extension ScenarioReader {
    mutating func act(_ words: [String]) -> TimedAct? {
        guard words.count >= 2, let at = duration(words[0]) else {
            if words.count < 2 { report("nothing is done", "`at TIME` and what is done then") }
            return nil
        }
        let rest = Array(words.dropFirst(2))
        let known = problems.count
        let act: Act?
        switch words[1] {
        case "register", "unregister": act = ask(words[1], rest)
        case "bind": act = bind(rest)
        case "move":
            act =
                rest.count == 3 && rest[1] == "to"
                ? domain(rest[0]).map { .order(.move($0, to: NodeName(rest[2]))) } : nil
        case "follow": act = follow(rest)
        case "leave": act = rest.count == 1 ? subscriber(rest[0]).map { .leave($0) } : nil
        case "drain": act = rest.count == 1 ? .order(.drain(NodeName(rest[0]))) : nil
        case "undrain": act = rest.count == 1 ? .order(.undrain(NodeName(rest[0]))) : nil
        case "compact": act = rest.isEmpty ? .compact : nil
        case "serve":
            let areKnown = rest.allSatisfy { $0.contains(":") || domain($0) != nil }
            act = areKnown ? ServedTopology(rest.joined(separator: " ")).map { .serve($0) } : nil
        default: act = fault(words[1], rest)
        }
        guard let act else {
            guard problems.count == known else { return nil }
            report(
                "`\(words.dropFirst().joined(separator: " "))` is nothing that can be done",
                "such as `register user u1 c1 in a.example for 60s`, `kill s1 for 2s`, `cut s1-s2 for 1s`, "
                    + "`move a.example to s2`")
            return nil
        }
        return TimedAct(at: at, act: act)
    }

    private mutating func ask(_ verb: String, _ words: [String]) -> Act? {
        guard words.count >= 5, let kind = AccountKind.allCases.first(where: { $0.name == words[0] }),
            words[3] == "in", let domain = domain(words[4])
        else { return nil }
        var rest = words[5...]
        var wish = ClientOperation.Kind.unregister
        if verb == "register" {
            guard rest.count >= 2, rest.popFirst() == "for", let text = rest.popFirst(),
                let ttl = Quantity.duration(text), (1...86_400_000).contains(ttl.milliseconds)
            else { return nil }
            wish = .register(ttl: UInt32(ttl.milliseconds))
        }
        var gateway = NodeName("w1")
        if !rest.isEmpty {
            guard rest.count == 2, rest.popFirst() == "through", let name = rest.popFirst() else { return nil }
            gateway = NodeName(name)
        }
        return .ask(Wish(domain: domain, key: ContactKey(kind, words[1], words[2]), kind: wish), through: gateway)
    }

    private mutating func bind(_ words: [String]) -> Act? {
        guard words.count >= 6, words[1] == "in", let domain = domain(words[2]),
            words[words.count - 2] == "through"
        else { return nil }
        var changes: [DeviceWish.Change] = []
        for word in words[3..<(words.count - 2)] where word != "all=gone" {
            let parts = word.split(separator: "=").map(String.init)
            guard parts.count == 2 else { return nil }
            let ttl = parts[1] == "gone" ? nil : Quantity.duration(parts[1])
            guard parts[1] == "gone" || ttl.map({ (1...86_400_000).contains($0.milliseconds) }) == true else {
                return nil
            }
            changes.append(.init(contact: parts[0], ttl: ttl.map { UInt32($0.milliseconds) }))
        }
        let wish = DeviceWish(domain: domain, account: words[0], changes: changes)
        return .bind(wish, through: NodeName(words[words.count - 1]))
    }

    private mutating func follow(_ words: [String]) -> Act? {
        guard words.count == 7 || words.count == 8 && words[7] == "slowly", words[1] == "as", words[3] == "for",
            words[5] == "at", let domain = domain(words[0]), let number = subscriber(words[2])
        else { return nil }
        let view: Consumer.View =
            switch words[4] {
            case "all": .all
            case "changes": .changes
            case "states": .states
            default: .accounts(words[4].split(separator: ",").map(String.init))
            }
        let wish = SubscriberWish(number: number, domain: domain, view: view, isSlow: words.count == 8)
        return .follow(wish, at: NodeName(words[6]))
    }

    /// `f1` is number 1.
    private func subscriber(_ text: String) -> Int? {
        text.hasPrefix("f") ? Int(text.dropFirst()).flatMap { $0 > 0 ? $0 : nil } : nil
    }

    private mutating func fault(_ verb: String, _ words: [String]) -> Act? {
        guard words.count >= 3, words[words.count - 2] == "for", let length = duration(words[words.count - 1])
        else { return nil }
        let what = Array(words.dropLast(2))
        return fault(verb, of: what).map { .fault($0, for: length) }
    }

    private mutating func fault(_ verb: String, of what: [String]) -> World.Fault? {
        switch verb {
        case "kill":
            var names = what
            var torn = 0
            if names.count >= 3, names[names.count - 2] == "losing" {
                torn = number(names[names.count - 1], in: 0...1_000) ?? 0
                names.removeLast(2)
            }
            let withDisk = Array(names.suffix(2)) != ["without", "disk"]
            if !withDisk { names.removeLast(2) }
            return names.isEmpty ? nil : .crash(names.map { NodeName($0) }, withDisk: withDisk, torn: torn)
        case "pause": return what.count == 1 ? .pause(NodeName(what[0])) : nil
        case "cut":
            let links = what.map { Self.links($0) }
            return links.contains([]) ? nil : .cut(links.flatMap(\.self))
        case "stop":
            let parts: [String: World.Fault] = [
                "coordinator": .coordinatorOutage, "broker": .brokerOutage, "watches": .watchOutage,
            ]
            return what.count == 1 ? parts[what[0]] : nil
        case "slow":
            guard what.count == 3, what[1] == "by", let delay = duration(what[2]) else { return nil }
            return .slow(NodeName(what[0]), Int(delay.milliseconds))
        case "fill": return what.count == 1 ? .diskFull(NodeName(what[0])) : nil
        case "upgrade", "downgrade":
            return what.count == 1 ? .exchange(NodeName(what[0]), isFormer: verb == "downgrade") : nil
        default: return nil
        }
    }

    /// `a-b` is both ways, `a>b` one; empty when it is neither.
    private static func links(_ text: String) -> [World.Link] {
        for sign in ["-", ">"] {
            let ends = text.split(separator: sign).map { NodeName(String($0)) }
            guard ends.count == 2 else { continue }
            let link = World.Link(from: ends[0], to: ends[1])
            return sign == ">" ? [link] : [link, World.Link(from: link.to, to: link.from)]
        }
        return []
    }

    private mutating func domain(_ text: String) -> DomainName? {
        let known = World.allDomains.map(\.rawValue)
        guard known.contains(text) else {
            report("there is no domain `\(text)`", known.joined(separator: " or "))
            return nil
        }
        return DomainName(text)
    }

    /// Whether all that is named is there; to be called when everything was read.
    mutating func checkActs() {
        let names = World.names(of: scenario.options)
        for name in scenario.options.former where !names.contains(name) {
            report("there is no node \(name)", names.map(\.rawValue).joined(separator: ", "))
        }
        var last = Duration.zero
        for (timed, line) in zip(scenario.acts, actLines) {
            self.line = line
            if timed.at < last {
                report("\(timed.act) is at \(Act.text(timed.at))", "lines in the order of their times")
            }
            last = timed.at
            if timed.at > scenario.length {
                report("\(timed.act) is at \(Act.text(timed.at))", "nothing after `until`")
            }
            for name in timed.act.nodes where !names.contains(name) && name != World.coordinatorEnd {
                report("there is no node \(name)", names.map(\.rawValue).joined(separator: ", "))
            }
            for domain in timed.act.domains where !World.allDomains.prefix(scenario.options.domains).contains(domain) {
                report("there is no domain \(domain)", "`domains: 2`, or another domain")
            }
        }
    }
}

extension Act {
    /// All nodes that it names.
    var nodes: [NodeName] {
        switch self {
        case .ask(_, let gateway), .bind(_, let gateway), .follow(_, let gateway): [gateway]
        case .leave: []
        case .fault(.crash(let names, _, _), _): names
        case .fault(.pause(let name), _), .fault(.slow(let name, _), _), .fault(.diskFull(let name), _),
            .fault(.exchange(let name, _), _):
            [name]
        case .fault(.cut(let links), _): links.flatMap { [$0.from, $0.to] }
        case .fault(.coordinatorOutage, _), .fault(.brokerOutage, _), .fault(.watchOutage, _), .compact: []
        case .order(.drain(let name)), .order(.undrain(let name)), .order(.move(_, let name)): [name]
        case .serve(let topology): (topology.pin ?? []) + topology.without
        }
    }

    /// All domains that it names.
    var domains: [DomainName] {
        switch self {
        case .ask(let wish, _): [wish.domain]
        case .bind(let wish, _): [wish.domain]
        case .follow(let wish, _): [wish.domain]
        case .order(.move(let domain, _)): [domain]
        case .serve(let topology): topology.domains
        case .fault, .order(.drain), .order(.undrain), .compact, .leave: []
        }
    }
}
