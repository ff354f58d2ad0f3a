/// What a node counts of the requests it makes.
struct RequestCounters: Sendable {
    let requests: Counter
    let repeats: Counter
    private let permanent: Counter
    private let notOwner: Counter
    private let unavailable: Counter
    private let overloaded: Counter

    init(in metrics: MetricsRegistry) {
        requests = metrics.counter("rollcall_requests_total", help: "Operations asked of the owners of domains.")
        repeats = metrics.counter(
            "rollcall_request_repeats_total", help: "Requests sent again because no useful reply came.")
        func refused(_ reason: String) -> Counter {
            metrics.counter(
                "rollcall_requests_refused_total", help: "Operations that ended in a refusal.",
                labels: [("reason", reason)])
        }
        permanent = refused("limit")
        notOwner = refused("not_owner")
        unavailable = refused("unavailable")
        overloaded = refused("overloaded")
    }

    func count(_ refusal: Refusal) {
        switch refusal {
        case .intervalTooBrief, .tooManyDevices, .domainFull, .outOfOrder: permanent.add()
        case .notOwner: notOwner.add()
        case .unavailable: unavailable.add()
        case .overloaded: overloaded.add()
        }
    }
}
