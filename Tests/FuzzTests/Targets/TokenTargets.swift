import ClusterRuntime
import Crypto
import Foundation
import NIOCore
import RegistrarEvents

@testable import AccessTokens
@testable import EtcdCoordinator

extension FuzzTarget {
    /// Access tokens: the first byte says whether the rest is a token as it came, or claims that are signed here, or a
    /// token's head and claims. Nobody gets in with a signature that is not ours.
    static let token = FuzzTarget(
        "token", words: tokenWords, seeds: TokenPromises.seeds,
        run: { input in
            guard let mode = input.first else { return }
            let rest = Array(input.dropFirst())
            let tokens = await TokenPromises.tokens()
            switch mode & 3 {
            case 0:
                guard let text = String(validating: rest, as: UTF8.self) else { return }
                try promise((try? await tokens.verify(text)) == nil, "a token that nobody signed: \(text)")
            case 1:
                let text = TokenPromises.signed(head: Array(#"{"alg":"HS256","typ":"JWT"}"#.utf8), claims: rest)
                guard let claims = try? await tokens.verify(text) else { return }
                try promise(claims.expiresAt > TokenPromises.now, "a token that has expired")
                let json = String(decoding: rest, as: UTF8.self)
                try promise(claims.scope == .admin || claims.rights.domain != nil, "a token without domain: \(json)")
            case 2:
                let parts = Pieces.split(rest[...])
                guard parts.count > 1 else { return }
                let text = TokenPromises.signed(head: Array(parts[0]), claims: Array(parts[1]))
                _ = try? await tokens.verify(text)
                // The same with one bit of the signature turned.
                let changed = TokenPromises.turned(text)
                try promise((try? await tokens.verify(changed)) == nil, "a changed signature is accepted: \(changed)")
            default:
                let path = try ScratchFile.write(rest, "keys.json")
                let spec = TokenKeySetSpec(path: path, trust: IssuerTrust(issuer: "sso", scopes: [.user]))
                guard let keys = try? await KeySetFile.read(spec) else { return }
                try promise((1...KeySetFile.maximumKeys).contains(keys.count), "\(keys.count) keys")
            }
        })

    /// Answers of etcd's gateway, lines of a watch, and the records under its keys.
    static let etcd = FuzzTarget(
        "etcd",
        words: [#""revision":"9223372036854775807""#, #""kvs":["#, #""succeeded":true"#, #""compact_revision":"#],
        seeds: EtcdPromises.seeds,
        run: { input in
            let data = Data(input)
            let decoder = JSONDecoder()
            // Each reads or refuses.
            _ = try? decoder.decode(Gateway.RangeReply.self, from: data)
            _ = (try? decoder.decode(Gateway.TransactionReply.self, from: data))?.found(at: 1)
            _ = try? decoder.decode(Gateway.GrantReply.self, from: data)
            _ = try? decoder.decode(Gateway.KeepAliveReply.self, from: data)
            _ = try? decoder.decode(Gateway.LoginReply.self, from: data)
            _ = try? decoder.decode(Gateway.Refusal.self, from: data)
            _ = try? decoder.decode(Gateway.WatchLine.self, from: data)
            try EtcdPromises.roundTrip(TermRecord.self, data)
            try EtcdPromises.roundTrip(AssignmentRecord.self, data)
            if let assignment = (try? decoder.decode(AssignmentRecord.self, from: data))?.assignment {
                try promise(AssignmentRecord(assignment).assignment == assignment, "another assignment: \(assignment)")
            }
            let whole = try EtcdPromises.lines(input, piece: max(1, input.count))
            try promise(whole == (try EtcdPromises.lines(input, piece: 3)), "lines depend on how the bytes came")
        })

    private static let tokenWords = [
        #""alg":"none""#, #""alg":"HS256""#, #""kid":"#, #""crit":["b64"]"#, #""b64":false"#, #""exp":1e18"#,
        #""exp":"#,
        #""nbf":"#, #""sub":"#, #""scope":"admin""#, #""domain":"demo.example""#, #""accounts":["#, #""roles":["#,
        #""iss":"rollcall""#, #""subtree":true"#, "eyJhbGciOiJub25lIn0.", "..", #""keys":["#, #""kty":"EC""#,
        #""crv":"P-256""#,
    ]
}

private enum TokenPromises {
    static let now: Int64 = 1_700_000_000
    private static let secret = ClusterSecret([UInt8](repeating: 7, count: 32))

    /// Made once: that takes longer than an input.
    private static let shared = Task { await AccessTokens(secret) { now * 1_000 } }

    static func tokens() async -> AccessTokens { await shared.value }

    static func signed(head: [UInt8], claims: [UInt8]) -> String {
        let text = base64(head) + "." + base64(claims)
        let key = SymmetricKey(data: secret.key(for: "access token"))
        return text + "." + base64(Array(HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key)))
    }

    /// The last character of a signature of 32 bytes has four bits of it and two that are not looked at.
    static func turned(_ token: String) -> String {
        let bytes = Array(token.utf8)
        let at = bytes.count - 10
        guard at > 0 else { return token }
        return String(decoding: bytes[..<at] + [bytes[at] == 65 ? 66 : 65] + bytes[(at + 1)...], as: UTF8.self)
    }

    private static func base64(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    static let seeds: @Sendable () throws -> [[UInt8]] = {
        let texts: [String] = [
            #"{"iss":"rollcall","sub":"u1","exp":1700000060,"iat":1700000000,"scope":"user","domain":"demo.example"}"#,
            #"{"iss":"rollcall","exp":1700000060.5,"nbf":1,"scope":"service","domain":"a.example","subtree":true,"#
                + #""classes":["registrarevents"],"accounts":["u1"],"capabilities":["subscr"],"aud":["x"]}"#,
            #"{"iss":"rollcall","exp":1700009999,"scope":"admin"}"#,
        ]
        let claims: [[UInt8]] = texts.map { Array($0.utf8) }
        let head = Array(#"{"alg":"HS256","typ":"JWT","kid":"a"}"#.utf8)
        let keys =
            #"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},"#
            + #"{"kty":"RSA","n":"AQAB","e":"AQAB","use":"sig"},{"kty":"EC","crv":"P-256","x":"","y":""}]}"#
        let unsigned = Array("eyJhbGciOiJub25lIn0.eyJzY29wZSI6ImFkbWluIn0.".utf8)
        var inputs: [(mode: UInt8, rest: [UInt8])] = claims.map { (1, $0) }
        inputs += [(2, Pieces.join([head, claims[0]])), (3, Array(keys.utf8)), (0, unsigned)]
        return inputs.map { [$0.mode] + $0.rest }
    }
}

private enum EtcdPromises {
    static func roundTrip<Record: Codable & Equatable>(_ type: Record.Type, _ data: Data) throws {
        guard let record = try? JSONDecoder().decode(type, from: data) else { return }
        let again = try? JSONDecoder().decode(type, from: JSONForm.bytes(record))
        try promise(again == record, "another record after a round trip: \(record)")
    }

    /// Up to a line without end.
    static func lines(_ input: [UInt8], piece: Int) throws -> [[UInt8]] {
        var buffer = LineBuffer()
        var found: [[UInt8]] = []
        var position = 0
        while position < input.count {
            let part = ByteBuffer(bytes: input[position..<min(input.count, position + piece)])
            guard let lines = try? buffer.take(part) else { return found }
            found += lines.map { Array($0.readableBytesView) }
            position += piece
        }
        return found
    }

    static let seeds: @Sendable () throws -> [[UInt8]] = {
        let header = #""header":{"cluster_id":"14841639068965178418","revision":"42"}"#
        let pair = #"{"key":"L2E=","value":"e30=","mod_revision":"7","lease":"8"}"#
        let assignment =
            #"{"domain":"demo.example","epoch":7,"revision":42,"owner":"sr1","owner_incarnation":18446744073709551615,"#
            + #""standbys":[{"name":"sr2","incarnation":5,"in_sync":true}],"cause":"failover","since":-1}"#
        let texts: [String] = [
            "{\(header),\"kvs\":[\(pair)],\"more\":true}",
            "{\(header),\"succeeded\":true,\"responses\":[{\"response_range\":{\"kvs\":[\(pair)]}}]}",
            "{\(header),\"ID\":\"7587\"}", "{\"result\":{\(header),\"TTL\":\"3\"}}", "{\(header),\"token\":\"t\"}",
            "{\"result\":{\(header),\"canceled\":true,\"compact_revision\":\"9\",\"events\":[{}]}}\n",
            #"{"code":5,"message":"etcdserver: requested lease not found","error":"x"}"#, assignment,
            #"{"term":3,"router":"router1","incarnation":9}"#,
        ]
        return texts.map { Array($0.utf8) }
    }
}
