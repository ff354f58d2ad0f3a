/// For how long something is asked: the Expires header, and the parameter `expires` of a contact.
///
/// Never an error. RFC 3261 sections 10.2.1.1, 20.10 and 20.19 have a malformed value stand for 3600 seconds; one of
/// more than 32 bits is well formed and says "as long as you can", so it is taken as the most there is, which a
/// registrar then shortens to its maximum.
public struct Expires: Hashable, Sendable {
    public let seconds: UInt32

    /// What a malformed value stands for.
    public static let ofMalformed: UInt32 = 3_600

    public init(parsing text: SIPText) { seconds = Self.seconds(text.storage, text.part) }

    static func seconds(_ bytes: [UInt8], _ part: Part) -> UInt32 {
        var seconds: UInt64 = 0
        for index in part.range {
            guard Ascii.isDigit(bytes[index]) else { return ofMalformed }
            // It stays below 2^36, however many digits there are.
            seconds = min(seconds * 10 + UInt64(bytes[index] - UInt8(ascii: "0")), UInt64(UInt32.max))
        }
        return part.count == 0 ? ofMalformed : UInt32(seconds)
    }
}
