import ClusterRuntime
import NIOSSL

extension EtcdSpec.TLS {
    /// Reads the files. They are read once: a changed certificate is used from the router's next start on.
    func configuration() throws(CoordinatorError) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        do {
            if let caPath { configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(caPath)) }
        } catch {
            throw Self.unusable("ca", caPath, "certificates in PEM")
        }
        do {
            if let certificatePath {
                configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(certificatePath)
                    .map { .certificate($0) }
            }
        } catch {
            throw Self.unusable("cert", certificatePath, "a certificate chain in PEM")
        }
        do {
            if let keyPath { configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: keyPath, format: .pem)) }
        } catch {
            throw Self.unusable("key", keyPath, "a private key in PEM")
        }
        return configuration
    }

    private static func unusable(_ key: String, _ path: String?, _ expected: String) -> CoordinatorError {
        .unavailable("coordinator.tls.\(key): \(path ?? "") cannot be used; expected \(expected)")
    }
}
