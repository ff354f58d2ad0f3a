import ClusterRuntime
import RegistrarEvents

@testable import Router

/// One router machine, fed by hand.
struct Driven {
    var machine: RouterMachine
    var time: Int64 = 0
    /// What the coordinator grants in `run`.
    var term: UInt64 = 1

    init(_ layout: ClusterLayout = threeServers) {
        machine = RouterMachine(
            node: life("router1"), layout: layout, periods: Periods(), at: at(0), layoutOf: Self.layout(of:))
    }

    /// A router that leads in term 1 from time 0, with these assignments stored, and has heard from `alive`.
    init(
        _ layout: ClusterLayout = threeServers, leading stored: [Assignment], wishes: MovementWishes = MovementWishes(),
        topology: ActiveTopology? = nil, alive: [NodeID] = []
    ) {
        self.init(layout)
        _ = feed(.tick)
        _ = feed(.campaigned(.success(.leading(term: 1))))
        let revision = stored.map(\.revision).max() ?? 0
        let contents = StoredAssignments(
            revision: revision, assignments: stored, wishes: wishes, topology: topology)
        _ = feed(.loaded(.success(contents), term: 1))
        for node in alive { _ = beat(node, revision: revision) }
    }

    /// Stands for topology files: the domains, such as `a.example b.example`, on the nodes of `threeServers`.
    static func layout(of text: String) -> ClusterLayout? {
        let domains = text.split(separator: " ").compactMap { DomainName(String($0)) }
        guard !domains.isEmpty else { return nil }
        return ClusterLayout(
            nodes: threeServers.nodes, domains: domains.map { ClusterLayout.Domain(name: $0, replicas: 2) })
    }

    mutating func feed(_ event: RouterMachine.Event) -> [RouterMachine.Directive] {
        machine.handle(event, at: at(time))
    }

    /// What a heartbeat brings about, without what is logged.
    mutating func beat(_ node: NodeID, revision: UInt64) -> [RouterMachine.Directive] {
        feed(.received(.heartbeat(heartbeat(revision: revision, sentAt: time)), from: node)).filter {
            if case .log = $0 { false } else { true }
        }
    }

    /// Lets time pass with a tick each 100 ms; the coordinator renews, these nodes' hearts beat.
    mutating func run(until end: Int64, alive: [NodeID] = [], revision: UInt64 = 1) -> [RouterMachine.Directive] {
        var directives: [RouterMachine.Directive] = []
        while time < end {
            time += 100
            for node in alive { directives += beat(node, revision: revision) }
            let brought = feed(.tick)
            directives += brought
            if brought.isCampaign { directives += feed(.campaigned(.success(.leading(term: term)))) }
        }
        return directives
    }

    var isLeading: Bool { machine.leadingTerm(at: at(time)) > 0 }
}

extension [RouterMachine.Directive] {
    var isCampaign: Bool { campaigns.isEmpty == false }

    /// Above which terms it campaigns.
    var campaigns: [UInt64] { compactMap { if case .campaign(let floor) = $0 { floor } else { nil } } }

    /// Above which revisions it stores.
    var storeFloors: [UInt64] { compactMap { if case .store(_, _, let floor, _) = $0 { floor } else { nil } } }

    /// Nodes that were sent `Lead`.
    var leads: [String] {
        compactMap { if case .send(.lead, let peer) = $0 { peer.rawValue } else { nil } }
    }

    /// The echoes in `Lead`: 0 for a word that answers no heartbeat, and so gives no lease.
    var echoes: [Int64] { compactMap { if case .send(.lead(let lead), _) = $0 { lead.echo } else { nil } } }

    /// Nodes that were sent assignments.
    var updates: [String] {
        compactMap { if case .send(.assignments, let peer) = $0 { peer.rawValue } else { nil } }
    }

    /// What became of orders.
    var answers: [UInt64: OrderOutcome] {
        reduce(into: [:]) { if case .answer(let id, let outcome) = $1 { $0[id] = outcome } }
    }

    /// The wishes that were to be stored.
    var wishes: [MovementWishes] {
        compactMap { if case .store(_, let wishes, _, _) = $0 { wishes } else { nil } }
    }

    /// Owners that were ordered to hand over, and to whom.
    var handOvers: [(owner: String, order: HandOver)] {
        compactMap { if case .send(.handOver(let order), let peer) = $0 { (peer.rawValue, order) } else { nil } }
    }

    /// Topologies that were to be stored.
    var activations: [ActiveTopology] {
        compactMap { if case .activate(let topology, _) = $0 { topology } else { nil } }
    }

    /// Nodes that were sent a topology, and its version.
    var topologies: [(node: String, version: UInt64)] {
        compactMap { if case .send(.topology(let part), let peer) = $0 { (peer.rawValue, part.version) } else { nil } }
    }

    /// Owners that were ordered to end everything in a domain.
    var retirements: [(owner: String, order: Retire)] {
        compactMap { if case .send(.retire(let order), let peer) = $0 { (peer.rawValue, order) } else { nil } }
    }

    var stored: [AssignmentChange] {
        flatMap { directive -> [AssignmentChange] in
            if case .store(let changes, _, _, _) = directive { changes } else { [] }
        }
    }
}
