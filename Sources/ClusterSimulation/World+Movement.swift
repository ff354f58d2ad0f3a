import ClusterRuntime
import RegistrarEvents
import Router

/// What operators do amid everything else: domains are moved, nodes drained and undrained.
extension World {
    /// Plans orders over the faulty time. They are drawn from a generator of their own, so that histories without them
    /// are as they were before there were any.
    mutating func planMovements(until end: MonotonicInstant, seed: UInt64) {
        var random = SplitMix64(seed: seed ^ 0x6d6f_7665_6d65_6e74)
        guard random.chance(0.6) else { return }
        var time = now + .seconds(3)
        while time < end {
            queue.add(.order(drawnOrder(&random)), at: time)
            time += random.duration(200...2_000)
        }
    }

    private func drawnOrder(_ random: inout SplitMix64) -> MovementOrder {
        let node = registrars[Int.random(in: 0..<registrars.count, using: &random)]
        let domain = domains[Int.random(in: 0..<domains.count, using: &random)]
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<5: return .move(domain, to: node)
        case 5..<8: return .drain(node)
        default: return .undrain(node)
        }
    }

    /// Gives an order to whichever router holds itself to lead. Without one it is forgotten: operators are told so, and
    /// repeat themselves.
    mutating func give(_ order: MovementOrder) {
        // Routers take the node for alive until then, and could have its copies' only other holder drop them.
        if case .drain = order, now <= lostAreHeardUntil { return }
        for name in routers {
            guard let node = nodes[name], node.isRunning, !node.isPaused, let machine = node.router,
                machine.leadingTerm(at: moment(of: name)) > 0
            else { continue }
            orders += 1
            switch order {
            case .drain(let name): drained.insert(name)
            case .undrain(let name): drained.remove(name)
            case .move: break
            }
            trace.note(now, "operator: \(order)")
            if isLoaded { record(.order(order)) }
            route(.ordered(order, id: orders), at: name)
            return
        }
    }

    /// Whether every node that is drained is empty.
    var areDrainsDone: Bool {
        let stored = coordinator.load()
        let layout = Self.layout(of: activeTopology.text, nodes: layout.nodes, options) ?? layout
        return stored.assignments.allSatisfy { assignment in
            // Where all nodes of its group are drained it has nowhere to go.
            let group = Self.described(assignment.domain, options).group
            let isAlone = layout.nodes.allSatisfy {
                $0.role != .sr || $0.group != group || stored.wishes.isDrained($0.name)
            }
            guard !isAlone else { return true }
            let holders = (assignment.owner.map { [$0] } ?? []) + assignment.standbys.map(\.node)
            return holders.allSatisfy { !stored.wishes.isDrained($0.name) }
        }
    }

    /// Takes all drains back, as far as somebody leads; to be repeated until nothing is left of them.
    mutating func undrainAll() {
        for name in coordinator.load().wishes.drained { give(.undrain(name)) }
    }
}
