package import NIOHTTP1

/// What a client offers in `Sec-WebSocket-Protocol`. Source: RFC 6455 sections 4.1 and 4.2.2.
package enum Subprotocols {
    package static let header = "Sec-WebSocket-Protocol"

    /// Most names of an offer.
    private static let maximumNames = 32

    /// - Returns: the names in the order of preference; empty when none is offered.
    /// - Throws: when one is no token or is there twice, or there are more than 32.
    package static func offered(_ headers: HTTPHeaders) throws(HandshakeRefusal) -> [String] {
        let malformed = HandshakeRefusal.bad("\(header) must hold at most \(maximumNames) names, each once")
        var names: [String] = []
        for value in headers[header] {
            for part in value.split(separator: ",", omittingEmptySubsequences: false) {
                let name = String(part.drop { $0 == " " || $0 == "\t" }.prefix { $0 != " " && $0 != "\t" })
                let isAlone = part.split { $0 == " " || $0 == "\t" }.count == 1
                guard names.count < maximumNames, isAlone, name.utf8.allSatisfy(Token.allows), !names.contains(name)
                else { throw malformed }
                names.append(name)
            }
        }
        return names
    }
}
