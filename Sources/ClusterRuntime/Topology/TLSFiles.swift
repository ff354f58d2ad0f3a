/// Where a server's certificate chain and private key are, in PEM.
public struct TLSFiles: Hashable, Sendable {
    public let certificatePath: String
    public let keyPath: String

    public init(certificatePath: String, keyPath: String) {
        self.certificatePath = certificatePath
        self.keyPath = keyPath
    }
}
