import Crypto
import FoundationEssentials
public import RegistrarEvents

/// Makes temporary GRUUs and tells what they stand for: addresses of one device that do not give away whose it is.
///
/// Nothing is kept of them. The user part of the URI is a token that seals the account with hashes of the instance and
/// of the Call-ID under the cluster's key, so any gateway can open what another has made. A random number of its own
/// gives each its key, so each is unlike all others and no key is used twice. Padding hides most of the length.
///
/// Source: RFC 5627 section 3.2 for their life, section 5.3 for when they are made, appendix A.2 for the idea.
public struct TemporaryGRUUs: Sendable {
    private let key: SymmetricKey

    /// What every token begins with; no account should.
    public static let prefix = "tgruu."
    /// Longest token in bytes, which an account of 128 bytes has.
    public static let maximumLength = 262

    private static let numberLength = 16
    private static let callLength = 8
    private static let instanceLength = 16
    private static let padding = 16

    /// - Parameter key: 32 bytes, the same at all gateways of the cluster; nil for a key that only this process has.
    public init(key: [UInt8]?) {
        self.key = key.map { SymmetricKey(data: $0) } ?? SymmetricKey(size: .bits256)
    }

    /// A new token: the user part of `sip:TOKEN@DOMAIN;gr`.
    /// - Parameters:
    ///   - instance: of the account's contact.
    ///   - call: the Call-ID that registered it.
    func token(
        for account: String, instance: some Sequence<UInt8>,
        call: some Sequence<UInt8>, of domain: DomainName
    ) -> String {
        var plain = Self.hash(call, Self.callLength) + Self.hash(instance, Self.instanceLength)
        plain += account.utf8
        while plain.count % Self.padding != 0 { plain.append(0) }
        let number = SymmetricKey(size: .init(bitCount: Self.numberLength * 8)).withUnsafeBytes { Array($0) }
        do {
            let sealed = try ChaChaPoly.seal(
                plain, using: key(of: number), nonce: ChaChaPoly.Nonce(data: Self.nonce),
                authenticating: Array(domain.rawValue.utf8))
            return Self.prefix + Self.encode(number + sealed.ciphertext + sealed.tag)
        } catch {
            preconditionFailure("\(plain.count) bytes could not be sealed: \(error)")
        }
    }

    /// - Returns: nil when no gateway of this cluster made the token for this domain.
    public func target(of token: String, in domain: DomainName) -> Target? {
        guard token.hasPrefix(Self.prefix), token.utf8.count <= Self.maximumLength,
            let bytes = Self.decode(token.dropFirst(Self.prefix.count)), bytes.count > Self.numberLength
        else { return nil }
        let number = Array(bytes.prefix(Self.numberLength))
        // What is no sealed box, or not ours, is no token.
        guard let box = try? ChaChaPoly.SealedBox(combined: Self.nonce + bytes.dropFirst(Self.numberLength)),
            let plain = try? ChaChaPoly.open(box, using: key(of: number), authenticating: Array(domain.rawValue.utf8))
        else { return nil }
        let account = plain.dropFirst(Self.callLength + Self.instanceLength).prefix { $0 != 0 }
        return Target(
            account: String(decoding: account, as: UTF8.self), call: Array(plain.prefix(Self.callLength)),
            instance: Array(plain.dropFirst(Self.callLength).prefix(Self.instanceLength)))
    }

    /// What a token stands for.
    public struct Target: Sendable, Equatable {
        /// The sipuser.
        public let account: String
        fileprivate let call: [UInt8]
        fileprivate let instance: [UInt8]

        /// Whether a contact is of the device.
        public func includes(_ details: SIPUserDetails) -> Bool {
            !details.instanceID.isEmpty
                && TemporaryGRUUs.hash(details.instanceID.utf8, TemporaryGRUUs.instanceLength) == instance
        }

        /// Whether it still means anything, given the contacts of the device that are live.
        ///
        /// It ends when the device registers by another call. The flows of a device have calls of their own, so one of
        /// them is enough.
        public func isLive(among contacts: [SIPUserDetails]) -> Bool {
            let ofCall = contacts.filter { TemporaryGRUUs.hash($0.callID.utf8, TemporaryGRUUs.callLength) == call }
            return !ofCall.isEmpty && contacts.allSatisfy { $0.regID > 0 || ofCall.contains($0) }
        }
    }

    /// A key for each token, so that the nonce can be the same for all.
    private func key(of number: [UInt8]) -> SymmetricKey {
        SymmetricKey(data: HMAC<SHA256>.authenticationCode(for: number, using: key))
    }

    private static let nonce = Data(repeating: 0, count: 12)

    private static func hash(_ text: some Sequence<UInt8>, _ length: Int) -> [UInt8] {
        Array(SHA256.hash(data: Array(text)).prefix(length))
    }

    /// Base64 as it can stand in a URI: RFC 4648 section 5, unpadded.
    private static func encode(_ bytes: [UInt8]) -> String {
        let text = Data(bytes).base64EncodedString().utf8.compactMap { byte -> UInt8? in
            switch byte {
            case UInt8(ascii: "+"): UInt8(ascii: "-")
            case UInt8(ascii: "/"): UInt8(ascii: "_")
            case UInt8(ascii: "="): nil
            default: byte
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    private static func decode(_ text: Substring) -> Data? {
        var base64 = text.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "-"): UInt8(ascii: "+")
            case UInt8(ascii: "_"): UInt8(ascii: "/")
            default: byte
            }
        }
        while base64.count % 4 != 0 { base64.append(UInt8(ascii: "=")) }
        return Data(base64Encoded: Data(base64))
    }
}
