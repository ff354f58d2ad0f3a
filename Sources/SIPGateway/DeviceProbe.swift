import ClusterRuntime

/// Finds out which devices of an account are gone, so that one of them makes room for another.
///
/// What it decides: which devices are asked (by OPTIONS) and when again, and in the end which contacts make room: those
/// that stay silent, the ones with the least time left first. One that is known to be gone needs no asking, and makes
/// room at once. It is *asking* until every device has answered or the deadline is over, and then it is of no more use.
///
/// What it does not know: sockets, and whether a contact that it does not ask is alive. Such a one stays.
struct DeviceProbe {
    /// A contact that could make room.
    struct Device {
        enum Reach {
            /// What to send it and where. Its answer is known by the branch.
            case question([UInt8], Route, branch: ProbeBranch)
            /// Its connection is closed.
            case gone
        }

        /// The contact's packed key.
        let key: [UInt8]
        /// What remains of its time to live, in milliseconds.
        let ttl: UInt32
        let reach: Reach
    }

    enum Action {
        case ask([Device])
        case wait
        /// Of these contacts, by their keys, the first are to be ended.
        case makeRoom([[UInt8]])
        /// Too few are silent.
        case refuse
    }

    /// When a question is sent again over what may lose it, after the first time: T1, and twice that after it (RFC 3261
    /// section 17.1.2.2).
    static let repetitions: [Duration] = [.milliseconds(500), .milliseconds(1_500)]
    /// How long an answer is waited for. Own decision: the request that waits for it is then still repeated by its
    /// sender, who gives up after 32 s.
    static let deadline = Duration.seconds(2)
    /// How many devices of an account are asked at most. Own decision: an account may have thousands, and who has gone
    /// is found among those that have not been renewed for the longest time.
    static let maximumAsked = 64
    /// How often time is looked at.
    static let tickPeriod = Duration.milliseconds(100)

    private let needed: Int
    /// Those that have not answered.
    private var silent: [Device]
    private let start: MonotonicInstant
    private var repeated = 0

    /// - Parameter needed: contacts that have to go, at least one.
    init(_ devices: [Device], needed: Int, at now: MonotonicInstant) {
        precondition(needed > 0, "a search for \(needed) contacts")
        self.needed = needed
        silent = devices
        start = now
    }

    /// The branches by which answers are known.
    var branches: [ProbeBranch] { silent.compactMap(\.branch) }

    /// To be called once, first of all.
    func begin() -> Action {
        let gone = silent.filter(\.isGone)
        if gone.count >= needed { return .makeRoom(oldest(gone)) }
        return silent.count >= needed ? .ask(silent.filter { !$0.isGone }) : .refuse
    }

    /// A device gave a final answer, whatever it says.
    mutating func answered(_ branch: ProbeBranch) -> Action {
        silent.removeAll { $0.branch == branch }
        return silent.count >= needed ? .wait : .refuse
    }

    mutating func timePassed(at now: MonotonicInstant) -> Action {
        if now - start >= Self.deadline { return .makeRoom(oldest(silent)) }
        guard repeated < Self.repetitions.count, now - start >= Self.repetitions[repeated] else { return .wait }
        repeated += 1
        return .ask(silent.filter(\.isToBeRepeated))
    }

    private func oldest(_ devices: [Device]) -> [[UInt8]] {
        devices.sorted { $0.ttl < $1.ttl }.map(\.key)
    }
}

extension DeviceProbe.Device {
    fileprivate var branch: ProbeBranch? {
        switch reach {
        case .question(_, _, let branch): branch
        case .gone: nil
        }
    }

    var isGone: Bool { branch == nil }

    /// Streams lose nothing.
    fileprivate var isToBeRepeated: Bool {
        switch reach {
        case .question(_, let route, _): !route.isReliable
        case .gone: false
        }
    }
}
