import ClusterRuntime
import RegistrarEvents

extension DrillFile {
    /// How the phones of a load register.
    package struct SIP: Hashable, Sendable {
        /// Nil where the gateway asks for no credentials.
        package var password: String?
        /// The accounts that the phones share, in turns; nil when each phone has one of its own.
        package var accounts: ClosedRange<Int>?

        static let maximumAccount = 1_000_000_000
    }

    /// Reads `load` when it is by SIP: `sip: { contacts, refresh_per_s, password, accounts: { first, count } }` beside
    /// `domain` and `subscribers`.
    static func readSIPLoad(
        _ value: DrillValue, _ load: DrillFields, _ domain: DomainName?
    ) -> (value: Load, lines: Lines)? {
        for key in ["registrations", "renewals_per_s", "churn_per_s"] {
            load[key]?.reject("given beside sip", expected: "it to be left out: sip says how many")
        }
        guard let fields = value.fields(["contacts", "refresh_per_s", "password", "accounts"]) else { return nil }
        let contacts = fields.required("contacts", "how many phones to register")?
            .integer(in: 1...Load.maximumRegistrations)
        let refreshes = fields["refresh_per_s"].map { $0.integer(in: 0...Load.maximumRate) } ?? 0
        let subscribers = load["subscribers"].map { $0.integer(in: 0...Load.maximumSubscribers) } ?? 0
        let sip = SIP(
            password: fields["password"]?.text("the password of the accounts"),
            accounts: fields["accounts"].flatMap(accounts))
        guard let domain, let contacts, let refreshes, let subscribers else { return nil }
        return (
            Load(
                domain: domain, registrations: contacts, renewalsPerSecond: refreshes, churnPerSecond: 0,
                subscribers: subscribers, sip: sip),
            Lines(
                domain: load["domain"]?.line ?? value.line, subscribers: load["subscribers"]?.line ?? value.line,
                sip: value.line)
        )
    }

    private static func accounts(_ value: DrillValue) -> ClosedRange<Int>? {
        guard let fields = value.fields(["first", "count"]) else { return nil }
        let first = fields.required("first", "the first account's number")?.integer(in: 0...SIP.maximumAccount)
        let count = fields.required("count", "how many accounts")?.integer(in: 1...Load.maximumRegistrations)
        guard let first, let count else { return nil }
        return first...(first + count - 1)
    }

    /// What of a load by SIP does not fit the topology.
    func sipProblems(with topology: Topology) -> [FileProblem] {
        guard let sip = load.sip else { return [] }
        guard let gateway = topology.nodes(of: .sg).first(where: { $0.sip?.udp != nil }) else {
            return [
                FileProblem(
                    file: file, line: lines.sip, wrong: "\(topology.file) has no sg node with a UDP port",
                    expected: "one, for the phones to reach")
            ]
        }
        var problems: [FileProblem] = []
        if sip.password == nil, gateway.sip?.isOpen == false {
            problems.append(
                FileProblem(
                    file: file, line: lines.sip, wrong: "no password although \(gateway.name) is not open",
                    expected: "a password, or a topology with sip.open"))
        }
        let devices = topology.domain(named: load.domain)?.devices ?? .max
        if let accounts = sip.accounts, load.registrations > accounts.count * devices {
            problems.append(
                FileProblem(
                    file: file, line: lines.sip,
                    wrong: "\(load.registrations) phones for \(accounts.count) accounts with \(devices) devices each",
                    expected: "at most \(accounts.count * devices)"))
        }
        return problems
    }
}
