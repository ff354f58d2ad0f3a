/// Builds a request that we send, such as OPTIONS to a device or NOTIFY to a watcher.
///
/// The lines that every request has come first (RFC 3261 section 8.1.1); Contact, Route, Event and the like are added
/// with `header`.
public struct RequestWriter: MessageWriter, Sendable {
    public var writer: ByteWriter

    /// - Parameters:
    ///   - via: what follows `SIP/2.0/`: `UDP 192.0.2.1:5060;branch=z9hG4bK…;rport`.
    ///   - from: the whole value with its tag.
    ///   - to: the whole value, with a tag within a dialog.
    public init(
        _ method: SIPMethod, uri: String, via: String, from: String, to: String, callID: String, cseq: UInt32,
        maxForwards: UInt8 = 70
    ) {
        writer = ByteWriter(reserving: 512)
        writer.append(method.name)
        writer.literal(" ")
        writer.append(uri)
        writer.literal(" SIP/2.0\r\nVia: SIP/2.0/")
        writer.append(via)
        writer.literal("\r\nMax-Forwards: ")
        writer.append(UInt64(maxForwards))
        writer.literal("\r\nFrom: ")
        writer.append(from)
        writer.literal("\r\nTo: ")
        writer.append(to)
        writer.literal("\r\nCall-ID: ")
        writer.append(callID)
        writer.literal("\r\nCSeq: ")
        writer.append(UInt64(cseq))
        writer.literal(" ")
        writer.append(method.name)
        writer.endLine()
    }
}
