import SIP

/// What libFuzzer calls for each input.
///
/// The input goes through everything that a peer's bytes go through: as a datagram it is read or salvaged, its headers
/// are decoded and answered; as a stream it is framed in one piece and in small ones. A trap ends the run, and so does
/// a broken promise: a `precondition` here.
func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
    datagram(bytes)
    stream(bytes)
    if STUN.isBindingRequest(bytes) {
        precondition(STUN.bindingSuccess(to: bytes, address: [127, 0, 0, 1], port: 5060).count == 32)
    }
    return 0
}

private func datagram(_ bytes: [UInt8]) {
    if let request = SIPMessage.salvage(bytes) { answer(request) }
    // An input that is no message ends here: that is its error.
    guard let message = try? SIPMessage.parse(bytes) else { return }
    decode(message)
    if message.method != nil { answer(message) }
}

/// An answer is a message, with the request's Vias and no field that neither side put there.
private func answer(_ request: SIPMessage) {
    var writer = ResponseWriter(200, to: request, received: "2001:db8::1", rport: 40_000, toTag: "tag")
    var contacts = 0
    for text in request.all(.contact) {
        writer.header("Contact", text)
        contacts += 1
    }
    let bytes = writer.finish(body: request.body.bytes.map { $0 })
    let limits = SIPLimits(messageBytes: 1 << 24, headers: 1 << 16, headerLineBytes: 1 << 24)
    do {
        let answer = try SIPMessage.parse(bytes, limits: limits)
        precondition(answer.occurrences(of: .via) == request.occurrences(of: .via), "a Via was lost or added")
        precondition(answer.headerCount <= answer.occurrences(of: .via) + contacts + 5, "a header field was added")
        precondition(answer.body == request.body, "the body is another")
    } catch {
        preconditionFailure("the answer is no message: \(error)")
    }
}

/// The frames are the same however the stream is cut, and each is a message of its own or refused.
private func stream(_ bytes: [UInt8]) {
    let whole = frames(bytes, piece: max(1, bytes.count))
    precondition(whole == frames(bytes, piece: 3), "the frames depend on how the bytes came")
}

private func frames(_ bytes: [UInt8], piece: Int) -> [StreamFramer.Frame] {
    var framer = StreamFramer()
    var frames: [StreamFramer.Frame] = []
    var position = 0
    while position < bytes.count {
        framer.append(bytes[position..<min(bytes.count, position + piece)])
        position += piece
        do {
            while let frame = try framer.next() { frames.append(frame) }
        } catch { return frames }
    }
    return frames
}
