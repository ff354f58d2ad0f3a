import SIP

/// Reads every header of a message by the reader it has. Errors are as good as values here.
func decode(_ message: SIPMessage) {
    _ = try? message.essentials()
    _ = try? message.accept()
    for header in HeaderName.allCases {
        for text in message.all(header) { decode(header, text) }
    }
    for header in [HeaderName.require, .supported] {
        // A list that is none is the input's error.
        _ = (try? OptionTags(message, header))?.others(than: ["path"])
    }
    if let uri = message.requestURI { decode(uri: uri) }
}

private func decode(_ header: HeaderName, _ text: SIPText) {
    do {
        switch header {
        case .via: _ = try Via(parsing: text).parameters.all
        case .from, .to, .route, .path: decode(try NameAddress(parsing: text))
        case .contact:
            if case .address(let address, _, _, _, _) = try ContactField(parsing: text) { decode(address) }
        case .cseq: _ = try CSeq(parsing: text)
        case .maxForwards: _ = try MaxForwards(parsing: text)
        case .expires: _ = Expires(parsing: text)
        case .authorization: try decode(credentials: text)
        case .event: _ = try EventHeader(parsing: text).id
        default: _ = text.unquoted.percentDecoded.string
        }
    } catch {
        precondition(error.reason.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }, "a reason that is no phrase")
    }
}

private func decode(credentials text: SIPText) throws(SIPParseError) {
    guard let digest = try DigestAuthorization(parsing: text) else { return }
    _ = (digest.account, digest.realm, digest.nonce, digest.uri, digest.response, digest.algorithm)
    _ = (digest.cnonce, digest.opaque, digest.qop, digest.nonceCount, digest.nc, digest.userhash)
}

private func decode(_ address: NameAddress) {
    _ = (address.displayName?.string, address.tag, address.parameters.all)
    decode(uri: address.uriText)
}

/// A canonical text is a URI, and its own canonical text; the URI equals itself.
private func decode(uri text: SIPText) {
    // Most texts are no URI.
    guard let uri = try? SIPURI(parsing: text) else { return }
    let canonical = uri.canonical
    do {
        let again = try SIPURI(parsing: SIPText(canonical))
        precondition(again.canonical == canonical, "a canonical text that is not canonical")
    } catch {
        preconditionFailure("a canonical text that is no URI: \(error)")
    }
    precondition(uri.isEquivalent(to: uri), "a URI that is not its own equal")
    _ = (uri.decodedUser, uri.parameters, uri.headers, uri.transport, uri.gruu, uri.port)
}
