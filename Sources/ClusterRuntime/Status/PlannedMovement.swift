/// Where a part of a domain would go, and why: what a dry run of `rollcall apply` shows.
///
/// Encoded as JSON its keys are part of the product's interface: they may be added to, not changed.
public struct PlannedMovement: Codable, Hashable, Sendable {
    public enum Part: String, Codable, Sendable { case owner, standby }

    public var domain: String
    public var part: Part
    /// The node that has it now; nil when none does.
    public var from: String?
    /// The node that is to have it; nil when none is.
    public var to: String?
    /// In words.
    public var why: String

    public init(domain: String, part: Part, from: String?, to: String?, why: String) {
        self.domain = domain
        self.part = part
        self.from = from
        self.to = to
        self.why = why
    }

    /// Written out so that `from` and `to` are there, as null, when there is none.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(domain, forKey: .domain)
        try container.encode(part, forKey: .part)
        try container.encode(from, forKey: .from)
        try container.encode(to, forKey: .to)
        try container.encode(why, forKey: .why)
    }
}
