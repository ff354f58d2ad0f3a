import Digests

/// Writes requests as a phone does. Each has a new branch and CSeq.
struct Phone {
    var account = "alice"
    var domain = "demo.example"
    var callID = "call-1@phone"
    var via = "SIP/2.0/UDP 192.0.2.1:5060"
    private(set) var cseq: UInt32 = 0
    private(set) var branch = 0

    init(account: String = "alice", domain: String = "demo.example", callID: String = "call-1@phone") {
        self.account = account
        self.domain = domain
        self.callID = callID
    }

    mutating func register(_ headers: String..., to: String? = nil) -> String {
        request("REGISTER", uri: "sip:\(domain)", to: to, headers)
    }

    mutating func register(_ headers: [String]) -> String { request("REGISTER", uri: "sip:\(domain)", headers) }

    /// - Parameters:
    ///   - toTag: of the other side of a dialog.
    ///   - cseq: nil for the next.
    mutating func request(
        _ method: String, uri: String, to: String? = nil, toTag: String? = nil, cseq number: UInt32? = nil,
        _ headers: [String] = []
    ) -> String {
        cseq = number ?? cseq + 1
        branch += 1
        let tag = toTag.map { ";tag=\($0)" } ?? ""
        let lines =
            [
                "\(method) \(uri) SIP/2.0", "Via: \(via);rport;branch=z9hG4bK-\(callID)-\(branch)",
                "From: <sip:\(account)@\(domain)>;tag=f", "To: <\(to ?? "sip:\(account)@\(domain)")>\(tag)",
                "Call-ID: \(callID)", "CSeq: \(cseq) \(method)", "Max-Forwards: 70",
            ] + headers + ["Content-Length: 0", "", ""]
        return lines.joined(separator: "\r\n")
    }
}

/// A phone's side of RFC 7616.
struct Credentials {
    var account = "alice"
    var password = "secret"
    var realm = "demo.example"
    var uri = "sip:demo.example"
    var algorithm = DigestAlgorithm.sha256
    var nonce: String
    var count: UInt32 = 1
    var method = "REGISTER"
    /// Whether the client knows of `qop`.
    var usesQOP = true

    var header: String {
        let first = algorithm.hex { $0.append("\(account):\(realm):\(password)") }
        let second = algorithm.hex { $0.append("\(method):\(uri)") }
        let digits = String(count, radix: 16)
        let nc = String(repeating: "0", count: 8 - digits.count) + digits
        let middle = usesQOP ? "\(nonce):\(nc):c0ffee:auth" : nonce
        let response = algorithm.hex { $0.append("\(first):\(middle):\(second)") }
        return "Authorization: Digest username=\"\(account)\", realm=\"\(realm)\", nonce=\"\(nonce)\", uri=\"\(uri)\", "
            + "response=\"\(response)\", algorithm=\(algorithm.name)"
            + (usesQOP ? ", qop=auth, nc=\(nc), cnonce=\"c0ffee\"" : "")
    }
}
