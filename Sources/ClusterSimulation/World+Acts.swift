import ClusterRuntime
import RegistrarEvents

/// What is done from outside: written down as it is done, and done as it was written down.
extension World {
    mutating func record(_ act: Act) {
        if isRecorded { acts.append(TimedAct(at: now - Self.beginning, act: act)) }
    }

    mutating func plan(_ acts: [TimedAct]) {
        for timed in acts { queue.add(.act(timed.act), at: Self.beginning + timed.at) }
    }

    mutating func perform(_ act: Act) {
        switch act {
        case .ask(let wish, let gateway):
            if ask(wish, through: gateway) {
                trace.note(now, "client: \(act)")
            } else {
                trace.note(now, "not done, since a request of the contact is under way: \(act)")
            }
        case .fault(let fault, let length):
            if !begin(fault, for: length) {
                trace.note(now, "not done, since it is so already, or too much would be gone at once: \(act)")
            }
        case .order(let order): give(order)
        case .compact:
            record(.compact)
            compact()
        case .serve(let topology): activate(topology)
        }
    }
}
