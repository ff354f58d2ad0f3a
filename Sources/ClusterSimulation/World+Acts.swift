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

    private static let notAsked = "not done, since one is under way, or nobody listens: "

    mutating func perform(_ act: Act) {
        switch act {
        case .ask(let wish, let gateway):
            let isAsked = ask(wish, through: gateway)
            trace.note(now, (isAsked ? "client: " : Self.notAsked) + "\(act)")
        case .bind(let wish, let gateway):
            let isAsked = bind(wish, through: gateway)
            trace.note(now, (isAsked ? "device: " : Self.notAsked) + "\(act)")
        case .follow(let wish, let node):
            if !follow(wish, at: node) { trace.note(now, Self.notAsked + "\(act)") }
        case .leave(let number):
            if !leave(number) { trace.note(now, Self.notAsked + "\(act)") }
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
