import ClusterRuntime
import RegistrarEvents

/// An upgrade amid everything else: nodes are taken from one wire version to the other, one by one, and some back.
extension World {
    /// Plans it over the faulty time. Drawn from a generator of its own, so that histories without it are as they were
    /// before there was any. What cannot be done at its time, since a node is away, is not done at all: many histories
    /// end with both versions.
    mutating func planVersions(until end: MonotonicInstant, seed: UInt64) {
        guard !options.former.isEmpty else { return }
        var random = SplitMix64(seed: seed ^ 0x7570_6772_6164_6573)
        var former = options.former
        var time = now + .seconds(3)
        while time < end {
            let isBack = random.chance(0.25)
            let candidates = isBack ? Set(options.former).subtracting(former).sorted() : former
            if let name = candidates.randomElement(using: &random) {
                if isBack { former.append(name) } else { former.removeAll { $0 == name } }
                let fault = Fault.exchange(name, isFormer: isBack)
                queue.add(.act(.fault(fault, for: random.duration(50...600))), at: time)
            }
            time += random.duration(300...2_000)
        }
    }

    /// Whether the copies at a node may outlive the owner's: the version before does not say how old entries are, so
    /// copies that come from its log count times to live anew.
    func mayOutlive(at name: NodeName) -> Bool { formers.contains(name) || haveOwnersBeenFormer }

    /// A lone owner without a lease cannot end anything either.
    var mayOwnersBeLate: Bool { haveOwnersBeenFormer || (isLoaded && options.replicas == 1) }

    var haveOwnersBeenFormer: Bool { !formers.isDisjoint(with: registrars) }
}
