import Crypto
package import Foundation

/// Signs webhook requests so that the receiver knows who sent them, and when.
///
/// Source: Standard Webhooks 1.0.0: `webhook-signature: v1,BASE64`, where BASE64 is the HMAC-SHA256 of
/// `ID.TIMESTAMP.BODY`. A recording of a request is good for as long as the receiver takes its time stamp for now.
package struct WebhookSignature: Sendable {
    private let key: SymmetricKey

    /// Fewest bytes of a key that are taken: half of what the hash gives.
    package static let minimumKey = 16
    private static let prefix = "whsec_"

    /// - Parameter secret: base64 behind `whsec_`, as the standard writes keys, else the key itself as text.
    /// - Returns: nil when the key is shorter than `minimumKey` or what follows `whsec_` is not base64.
    package init?(secret: String) {
        let bytes =
            secret.hasPrefix(Self.prefix)
            ? Data(base64Encoded: String(secret.dropFirst(Self.prefix.count))) : Data(secret.utf8)
        guard let bytes, bytes.count >= Self.minimumKey else { return nil }
        key = SymmetricKey(data: bytes)
    }

    /// The value of `webhook-signature`.
    /// - Parameters:
    ///   - id: of `webhook-id`
    ///   - timestamp: of `webhook-timestamp`, seconds since 1970
    package func header(id: String, timestamp: Int64, body: some DataProtocol) -> String {
        var code = HMAC<SHA256>(key: key)
        code.update(data: Data("\(id).\(timestamp).".utf8))
        code.update(data: body)
        return "v1," + Data(code.finalize()).base64EncodedString()
    }
}
