package import ClusterRuntime
package import Logging
package import NIOSSL
import Synchronization

/// The certificate of a port, read again when its files change: a renewed one counts from the next connection on.
package final class ServerCertificate: Sendable {
    private struct State {
        var context: NIOSSLContext
        var stamps: [FileStamp?]
        var checked: MonotonicInstant
    }

    private let files: TLSFiles
    private let log: Logger
    private let state: Mutex<State>

    /// How often the files are looked at, when there are connections.
    private static let checkInterval = Duration.seconds(5)

    /// - Throws: `CertificateProblem` when a file cannot be read, or the key does not fit the certificate.
    package init(_ files: TLSFiles, log: Logger) throws(CertificateProblem) {
        self.files = files
        self.log = log
        // The stamps first: what changes while it is read is read again.
        let stamps = Self.stamps(files)
        state = Mutex(State(context: try Self.read(files), stamps: stamps, checked: SystemClock.monotonic()))
    }

    /// A handler for one connection. Changed files that cannot be used leave the earlier certificate in force.
    package func handler() -> NIOSSLServerHandler {
        NIOSSLServerHandler(context: context(at: SystemClock.monotonic()))
    }

    /// What is in force at a time.
    func context(at now: MonotonicInstant) -> NIOSSLContext {
        state.withLock { state in
            guard now - state.checked >= Self.checkInterval else { return state.context }
            state.checked = now
            let stamps = Self.stamps(files)
            guard stamps != state.stamps else { return state.context }
            do throws(CertificateProblem) {
                state.context = try Self.read(files)
                state.stamps = stamps
                log.notice("the certificate \(files.certificatePath) was renewed, and counts from now on")
            } catch {
                // Half written, perhaps: the next look tells.
                log.warning("\(error); the earlier certificate stays in force")
            }
            return state.context
        }
    }

    private static func read(_ files: TLSFiles) throws(CertificateProblem) -> NIOSSLContext {
        let chain: [NIOSSLCertificateSource]
        do {
            chain = try NIOSSLCertificate.fromPEMFile(files.certificatePath).map { .certificate($0) }
        } catch {
            throw CertificateProblem(file: files.certificatePath, expected: "a certificate chain in PEM", error)
        }
        let key: NIOSSLPrivateKey
        do {
            key = try NIOSSLPrivateKey(file: files.keyPath, format: .pem)
        } catch {
            throw CertificateProblem(file: files.keyPath, expected: "a private key in PEM, without a password", error)
        }
        do {
            return try NIOSSLContext(
                configuration: .makeServerConfiguration(certificateChain: chain, privateKey: .privateKey(key)))
        } catch {
            throw CertificateProblem(
                file: files.keyPath, expected: "the key of the certificate in \(files.certificatePath)", error)
        }
    }

    private static func stamps(_ files: TLSFiles) -> [FileStamp?] {
        [FileStamp(path: files.certificatePath), FileStamp(path: files.keyPath)]
    }
}

/// A certificate or key that cannot be used.
package struct CertificateProblem: Error, CustomStringConvertible {
    let file: String
    let expected: String
    let cause: any Error

    init(file: String, expected: String, _ cause: any Error) {
        self.file = file
        self.expected = expected
        self.cause = cause
    }

    package var description: String { "\(file) cannot be used: \(cause); expected \(expected)" }
}
