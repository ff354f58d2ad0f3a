/// Bugs that can be planted to see that the checkers find them. They live in the simulator's shells: the machines
/// under test are never changed.
public enum PlantedBug: String, CaseIterable, Sendable, Hashable {
    /// An owner answers as soon as it has a request, without waiting for its standbys.
    case answersBeforeStandby
    /// A subscriber is written a batch without its first event.
    case skipsAnEntry
    /// A promoted replica has forgotten a contact.
    case forgetsAContact
    /// A node that restarts takes the incarnation it had before.
    case reusesIncarnation
    /// Who wants net changes is not told of what was not restated after a failover.
    case hidesDifferences
    /// A promoted standby grants nobody the time of the outage.
    case forgetsTheStretch
    /// A standby that is not in sync becomes owner.
    case promotesOutOfSync
    /// Routers count every standby as in sync from the start.
    case countsInTooEarly
    /// A process that ends loses what it wrote last.
    case losesTheJournalsEnd
    /// Followers are told one contact twice in a replay, and another one not at all.
    case skipsInReplay
    /// A follower that was resynced keeps what it had before.
    case keepsWhatWasResynced
    /// Copies that are brought up to date from the log count times to live from then.
    case forgetsAges
    /// A lane tells the owner that a batch is delivered when it goes out.
    case countsWhatIsUnderWay
    /// A lane that had to drop events does not ask for `clear` and replay.
    case leavesOutReplays
    /// The heartbeats of any `sr` node vouch for all domains, also for those that it does not own, or no more.
    case vouchesForOthers
    /// A copy says that it is where the owner last said that the log ends, whatever of it was lost.
    case claimsWhatItWasTold
    /// A snapshot lacks a contact, and its count and digest are not compared.
    case trustsSnapshots
    /// A reader does not take in what lacks the fields that came with its own wire version.
    case needsEveryField
    /// A watch that asks for what was compacted goes on with what is left.
    case goesOnAfterCompaction
    /// Routers hold to the pins of the topology that the history began with.
    case keepsFormerPins
    /// Subscribers go on from a position of another epoch as if it were of this one.
    case resumesByNumber
    /// A socket that had to drop events says that it has had them.
    case forgetsWhatWasDropped
    /// An owner does all but the last change of a REGISTER.
    case bindsInPart
    /// What was spooled of a domain that gives way to others stays on the disk.
    case keepsDroppedSpools

    /// The promise that it breaks, of those that it may break.
    public var promise: String {
        switch self {
        case .answersBeforeStandby, .promotesOutOfSync, .losesTheJournalsEnd: "nothing acknowledged is lost"
        case .skipsAnEntry, .skipsInReplay, .resumesByNumber, .forgetsWhatWasDropped: "positions"
        case .forgetsAContact, .trustsSnapshots: "replicas agree"
        case .reusesIncarnation, .countsInTooEarly, .needsEveryField, .keepsFormerPins, .leavesOutReplays:
            "it settles"
        case .hidesDifferences: "net changes lead to the list"
        case .forgetsTheStretch, .forgetsAges, .vouchesForOthers, .claimsWhatItWasTold: "deadlines"
        case .countsWhatIsUnderWay: "a destination gets everything"
        case .keepsWhatWasResynced: "a consumer keeps the set"
        case .goesOnAfterCompaction: "a vacancy is told"
        case .bindsInPart: "answers tell the truth"
        case .keepsDroppedSpools: "limits"
        }
    }

    /// How many histories, from seed 1 on, it may take at most to find one. What each took is in docs/testing.md.
    public static let patience: UInt64 = 200
}
