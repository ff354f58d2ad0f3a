import ClusterRuntime

/// Decides what becomes of each packet between the hosts of a drill. Hosts are numbered; links have a direction.
///
/// It does not know what a packet carries: a link that loses a fifth of what it is given loses any of it.
struct LinkTable: Sendable {
    /// What is wrong with a link in one direction; nothing, as it begins.
    struct Fault: Hashable, Sendable {
        var isCut = false
        /// The share of packets that is lost, from 0 to 1.
        var loss: Double = 0
        /// By how much later each packet comes out.
        var delay: Duration = .zero
    }

    enum Verdict: Hashable, Sendable {
        case pass
        case hold(Duration)
        case drop
    }

    /// How many packets met which fault.
    struct Counts: Hashable, Sendable {
        var passed = 0
        var delayed = 0
        var lost = 0
        var cut = 0
    }

    let hosts: Int
    private var faults: [Fault]
    private var random: SplitMix64
    private(set) var counts = Counts()

    /// - Parameter seed: of the choice which packets are lost.
    init(hosts: Int, seed: UInt64) {
        self.hosts = hosts
        faults = Array(repeating: Fault(), count: hosts * hosts)
        random = SplitMix64(seed: seed)
    }

    subscript(from: Int, to: Int) -> Fault { faults[from * hosts + to] }

    /// Changes every link between a side and the rest.
    /// - Parameters:
    ///   - side: the hosts of one side; with all of them, every link between two different hosts is changed.
    ///   - way: from the side's point of view.
    mutating func change(_ side: Set<Int>, _ way: DrillFile.Way, _ change: (inout Fault) -> Void) {
        for from in 0..<hosts {
            for to in 0..<hosts where from != to && (side.contains(from) || side.contains(to)) {
                let isInternal = side.contains(from) && side.contains(to)
                if isInternal && side.count < hosts { continue }
                if !isInternal, way == .in, side.contains(from) { continue }
                if !isInternal, way == .out, side.contains(to) { continue }
                change(&faults[from * hosts + to])
            }
        }
    }

    /// - Parameters:
    ///   - from: the sending host; nil for the drill's own clients, whose packets meet no fault.
    ///   - to: the receiving one, likewise.
    mutating func verdict(from: Int?, to: Int?) -> Verdict {
        counts.passed += 1
        guard let from, let to else { return .pass }
        let fault = self[from, to]
        if fault.isCut {
            counts.passed -= 1
            counts.cut += 1
            return .drop
        }
        if fault.loss > 0, Double.random(in: 0..<1, using: &random) < fault.loss {
            counts.passed -= 1
            counts.lost += 1
            return .drop
        }
        guard fault.delay > .zero else { return .pass }
        counts.delayed += 1
        return .hold(fault.delay)
    }
}
