public import ClusterRuntime
public import RegistrarEvents

/// What an operator should read about in the router's log.
public enum RouterNotice: Hashable, Sendable, CustomStringConvertible {
    case leading(term: UInt64)
    case steppedDown(term: UInt64, why: String)
    case standingBy(leader: NodeID?)
    case nodeUp(NodeID)
    /// The node is more than one version of the wire away.
    case foreignWire(NodeID, version: UInt64)
    case nodeSilent(NodeID)
    case nodeDown(NodeID, why: String)
    case ownerChanged(DomainName, OwnerChange)
    /// Too many at once to list.
    case ownersChanged(count: Int)
    case draining(NodeName)
    case undrained(NodeName)
    case moveGivenUp(DomainName, to: NodeName)
    case topology(version: UInt64)
    case topologyUnreadable(version: UInt64)
    case retired(DomainName)
    case quorumLost(site: String, SiteQuorum)
    case quorumHeld(site: String, SiteQuorum)
    case journalFailed(NodeID)
    case journalWritable(NodeID)
    case heldUp(Duration)
    case fillsStuck(NodeName, count: Int)
    /// Nodes do not heed this router.
    case outranked(term: UInt64, knownTo: NodeID)
    case coordinatorBehind(stored: UInt64, known: UInt64)
    case coordinatorFailed(CoordinatorError)
    case coordinatorAnswers

    public var isWarning: Bool {
        switch self {
        case .steppedDown, .foreignWire, .nodeSilent, .nodeDown, .moveGivenUp, .heldUp, .coordinatorFailed,
            .topologyUnreadable, .quorumLost, .fillsStuck, .outranked, .coordinatorBehind, .journalFailed:
            true
        case .leading, .standingBy, .nodeUp, .ownerChanged, .ownersChanged, .draining, .undrained, .coordinatorAnswers,
            .topology, .retired, .quorumHeld, .journalWritable:
            false
        }
    }

    public var description: String {
        switch self {
        case .leading(let term): "leads, in term \(term)"
        case .steppedDown(let term, let why): "no longer leads in term \(term): \(why)"
        case .standingBy(let leader?): "stands by, \(leader) leads"
        case .standingBy(nil): "stands by"
        case .nodeUp(let node): "\(node) is up"
        case .foreignWire(let node, let version):
            "\(node) speaks version \(version) of the wire, which version \(WireVersion.current) does not work with"
        case .nodeSilent(let node): "\(node) is silent"
        case .nodeDown(let node, let why): "\(node) is down: \(why)"
        case .ownerChanged(let domain, let change):
            "\(domain) is owned by \(change.next ?? "nobody") in epoch \(change.epoch) (\(change.cause))"
                + " after \(change.previous ?? "nobody"), decided in \(change.tookMilliseconds) ms"
        case .ownersChanged(let count): "\(count) domains changed owners"
        case .draining(let node): "\(node) is drained from now on: its domains go elsewhere"
        case .topology(let version): "goes by version \(version) of the topology"
        case .topologyUnreadable(let version):
            "cannot lead: version \(version) of the topology cannot be read by this version of the program"
        case .retired(let domain): "\(domain) is removed: everything in it has ended"
        case .quorumLost(let site, let quorum):
            "site \(site) has \(quorum.text): its nodes take nothing on, and what they own will go to other sites"
        case .quorumHeld(let site, let quorum): "site \(site) has its quorum again: \(quorum.text)"
        case .undrained(let node): "\(node) may serve domains again"
        case .moveGivenUp(let domain, let node): "\(domain) is not moved to \(node), which is down or drained"
        case .journalFailed(let node):
            "\(node) cannot write its journal: domains go elsewhere as long as there is another node for them"
        case .journalWritable(let node): "\(node) can write its journal again"
        case .heldUp(let duration):
            "this process was held up for \(duration.milliseconds) ms; silence counts from now on"
        case .fillsStuck(let node, let count):
            "\(count) copies at \(node) have been filled for a minute and do not come into sync; "
                + "no more are begun there"
        case .outranked(let term, let node):
            "\(node) has heard of term \(term), in which another router leads, or which the coordinator has forgotten; "
                + "campaigns for a higher one"
        case .coordinatorBehind(let stored, let known):
            "the coordinator knows changes up to revision \(stored), and nodes know \(known): its data was lost, or is "
                + "that of a backup; what nodes hold counts, and everything is stored anew above that"
        case .coordinatorFailed(let error): error.description
        case .coordinatorAnswers: "the coordinator answers again"
        }
    }
}
