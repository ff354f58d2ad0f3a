package import ClusterRuntime
import NIOCore
import NIOSSL

/// How a client of the cluster knows that a server is the right one, when it is reached over TLS.
package struct ServerTrust: Hashable, Sendable {
    /// The server's certificate, when its file is on this machine: then that and no other is accepted. Elsewhere it is
    /// one that the system trusts, for the server's name.
    private let certificatePath: String

    package init(_ files: TLSFiles) { certificatePath = files.certificatePath }

    /// - Parameter host: name or IP address that the server was reached by.
    func handler(host: String) throws -> NIOSSLClientHandler {
        // The name that is asked for may not be an address (RFC 6066 section 3).
        let isAddress = (try? SocketAddress(ipAddress: host, port: 0)) != nil
        let name = isAddress ? nil : host
        // A file that is not here, or only for others, is no failure: the system may know the certificate.
        guard let known = (try? NIOSSLCertificate.fromPEMFile(certificatePath))?.first else {
            return try NIOSSLClientHandler(
                context: NIOSSLContext(configuration: .makeClientConfiguration()), serverHostname: name)
        }
        return try NIOSSLClientHandler(
            context: NIOSSLContext(configuration: .makeClientConfiguration()), serverHostname: name,
            customVerificationCallback: { chain, verdict in
                verdict.succeed(chain.first == known ? .certificateVerified : .failed)
            })
    }
}
