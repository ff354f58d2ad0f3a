/// One change of a domain's owner, with its timings: what `rollcall explain` shows.
public struct OwnerChange: Codable, Hashable, Sendable {
    /// The epoch that it began.
    public var epoch: UInt64
    /// Name of the `ClearReason`.
    public var cause: String
    /// The owners before and after, each as NAME#INCARNATION.
    public var previous: String?
    public var next: String?
    /// When the router found the earlier owner gone, in milliseconds since 1970 on the router's clock.
    public var detectedAt: Int64
    /// When the coordinator had stored the change, likewise.
    public var storedAt: Int64
    /// From one to the other, in milliseconds on the monotonic clock.
    public var tookMilliseconds: Int64

    public init(
        epoch: UInt64, cause: String, previous: String?, next: String?, detectedAt: Int64, storedAt: Int64,
        tookMilliseconds: Int64
    ) {
        self.epoch = epoch
        self.cause = cause
        self.previous = previous
        self.next = next
        self.detectedAt = detectedAt
        self.storedAt = storedAt
        self.tookMilliseconds = tookMilliseconds
    }

    enum CodingKeys: String, CodingKey {
        case epoch, cause
        case previous = "old_owner"
        case next = "new_owner"
        case detectedAt = "detected_at"
        case storedAt = "stored_at"
        case tookMilliseconds = "took_ms"
    }
}
