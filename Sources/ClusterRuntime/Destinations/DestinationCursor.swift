public import RegistrarEvents

/// How far a destination has taken a domain's events: everything up to `position` is safe there.
public struct DestinationCursor: Sendable, Hashable {
    public var destination: String
    public var position: Position

    public init(destination: String, position: Position) {
        self.destination = destination
        self.position = position
    }
}

/// What a domain's owner has for destinations. Publications of one domain are in order.
public enum Publication: Sendable, Hashable {
    /// This node became the owner in `epoch`. What was not delivered before comes with it: by this node as a standby,
    /// from the cursors on, as far as it was kept.
    case began(epoch: UInt64, LogTail)
    /// Committed entries, each the one after the last.
    case entries([LogEntry], epoch: UInt64)
    /// A part of the `clear` and replay that one destination asked for.
    case replay(DestinationReplay.Part, to: String)
    /// This node owns the domain no longer: another goes on from the cursors.
    case ended
}

/// What a destination has to say to a domain's owner.
public enum DestinationNotice: Sendable, Hashable {
    /// Everything up to here is safe there, or not wanted: by a filter, or since nothing is wanted any more.
    case delivered(Position, to: String)
    /// It has missed events that are kept nowhere: it needs `clear`, then everything live.
    case replay(to: String)
    /// It has room for the next part of its replay.
    case goOn(with: String)

    /// Whether a later notice says all that this one does.
    public func isSuperseded(by later: DestinationNotice) -> Bool {
        switch (self, later) {
        case (.delivered(_, let name), .delivered(_, let other)), (.replay(let name), .replay(let other)),
            (.goOn(let name), .goOn(let other)):
            name == other
        case (.delivered, _), (.replay, _), (.goOn, _): false
        }
    }
}

/// Takes in what owners publish.
public protocol DestinationOutlet: Sendable {
    /// Returns at once, however the destinations fare: what does not fit is missing, and is noticed to be.
    func publish(_ publication: Publication, of domain: DomainName)
}
