import ClusterRuntime
import RegistrarEvents

/// As it is written in a scenario file.
extension Act: CustomStringConvertible {
    var description: String {
        switch self {
        case .ask(let wish, let gateway): "\(wish) through \(gateway)"
        case .bind(let wish, let gateway): "\(wish) through \(gateway)"
        case .follow(let wish, let node): "\(wish) at \(node)" + (wish.isSlow ? " slowly" : "")
        case .leave(let number): "leave f\(number)"
        case .fault(let fault, let length): "\(fault) for \(Self.text(length))"
        case .order(.move(let domain, let node)): "move \(domain) to \(node)"
        case .order(.drain(let node)): "drain \(node)"
        case .order(.undrain(let node)): "undrain \(node)"
        case .compact: "compact"
        case .serve(let topology): "serve \(topology.text)"
        }
    }

    /// Seconds, to the microsecond: `3.25s`.
    static func text(_ duration: Duration) -> String {
        let microseconds = duration.nanoseconds / 1_000
        let fraction = String(1_000_000 + microseconds % 1_000_000).dropFirst()
        guard let last = fraction.lastIndex(where: { $0 != "0" }) else { return "\(microseconds / 1_000_000)s" }
        return "\(microseconds / 1_000_000).\(fraction[...last])s"
    }
}

extension Wish: CustomStringConvertible {
    var description: String {
        let contact = "\(key.account.kind.name) \(key.account.name) \(key.contact) in \(domain)"
        switch kind {
        case .register(let ttl): return "register \(contact) for \(Act.text(.milliseconds(Int64(ttl))))"
        case .unregister: return "unregister \(contact)"
        }
    }
}

extension DeviceWish: CustomStringConvertible {
    var description: String {
        let words = changes.map { change in
            "\(change.contact)=\(change.ttl.map { Act.text(.milliseconds(Int64($0))) } ?? "gone")"
        }
        return "bind \(account) in \(domain) " + (words.isEmpty ? "all=gone" : words.joined(separator: " "))
    }
}

extension SubscriberWish: CustomStringConvertible {
    var description: String { "follow \(domain) as f\(number) for \(view)" }
}

extension Consumer.View: CustomStringConvertible {
    var description: String {
        switch self {
        case .all: "all"
        case .changes: "changes"
        case .states: "states"
        case .accounts(let names): names.joined(separator: ",")
        }
    }
}

extension World.Fault: CustomStringConvertible {
    var description: String {
        switch self {
        case .crash(let names, let withDisk, let torn):
            "kill " + names.map(\.rawValue).joined(separator: " ") + (withDisk ? "" : " without disk")
                + (torn.map { $0 > 0 ? " losing \($0)" : "" } ?? "")
        case .pause(let name): "pause \(name)"
        case .cut(let links): "cut " + Self.text(links)
        case .coordinatorOutage: "stop coordinator"
        case .brokerOutage: "stop broker"
        case .watchOutage: "stop watches"
        case .slow(let name, let delay): "slow \(name) by \(Act.text(.milliseconds(delay)))"
        case .diskFull(let name): "fill \(name)"
        case .exchange(let name, let isFormer): (isFormer ? "downgrade" : "upgrade") + " \(name)"
        }
    }

    /// `a-b` for both ways, `a>b` for one.
    private static func text(_ links: [World.Link]) -> String {
        var texts: [String] = []
        var told: Set<World.Link> = []
        for link in links where told.insert(link).inserted {
            let back = World.Link(from: link.to, to: link.from)
            let isBoth = links.contains(back)
            if isBoth { told.insert(back) }
            texts.append("\(link.from)\(isBoth ? "-" : ">")\(link.to)")
        }
        return texts.joined(separator: " ")
    }
}
