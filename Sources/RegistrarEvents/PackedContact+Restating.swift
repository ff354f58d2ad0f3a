import MessagePack

extension PackedContact {
    /// Whether it says nothing new of the endpoint that another one is about, so that whoever knew that one knows this
    /// one: it may differ in which request said so, the Call-ID and CSeq of a SIP device. Both are of one key.
    public func restates(_ other: PackedContact) -> Bool {
        if self == other { return true }
        guard kind == .sipuser, keyBytes == other.keyBytes else { return false }
        // What cannot be read says something new: the follower raises an alarm when it unpacks it.
        let isSame = try? MessagePack.decode(bytes[keyLength...]) { (mine) throws(MessagePackError) in
            try MessagePack.decode(other.bytes[other.keyLength...]) { (theirs) throws(MessagePackError) in
                try Self.isSameDevice(try mine.array(), try theirs.array())
            }
        }
        return isSame ?? false
    }

    /// Compares the details of SIP devices without unpacking them.
    private static func isSameDevice(
        _ mine: MessagePackArray, _ theirs: MessagePackArray
    ) throws(MessagePackError) -> Bool {
        // With fields of a later version nothing is known of what they say.
        guard mine.count == sipuserFields, theirs.count == sipuserFields else { return false }
        for index in 0..<sipuserFields {
            let isSame =
                switch index {
                case 5: try isSameList(try mine.array(index), try theirs.array(index))
                case 6, 7: true
                case 9, 10: try mine.unsigned(index) == theirs.unsigned(index)
                default: try isSameText(try mine.value(index), try theirs.value(index))
                }
            if !isSame { return false }
        }
        return true
    }

    /// How many details `MessagePackWriter.details` writes for a SIP device.
    private static let sipuserFields = 12

    private static func isSameList(
        _ mine: MessagePackArray, _ theirs: MessagePackArray
    ) throws(MessagePackError) -> Bool {
        guard mine.count == theirs.count else { return false }
        for index in 0..<mine.count where try !isSameText(try mine.value(index), try theirs.value(index)) {
            return false
        }
        return true
    }

    private static func isSameText(
        _ mine: MessagePackValue, _ theirs: MessagePackValue
    ) throws(MessagePackError) -> Bool {
        let (mine, theirs) = (try mine.text(), try theirs.text())
        return mine.elementsEqual(theirs)
    }
}
