import ClusterRuntime
import Foundation
import NIOSSL
import Synchronization

/// The certificate of SIP over TLS, read again when its files change: a renewed one counts from the next connection on.
final class TLSCertificate: Sendable {
    private struct State {
        var context: NIOSSLContext
        var stamp: [Date?]
        var checked: MonotonicInstant
    }

    private let spec: SIPListen.TLS
    private let state: Mutex<State>

    /// How often the files are looked at.
    private static let checkInterval = Duration.seconds(5)

    /// - Throws: when a file cannot be read, or the key does not fit the certificate.
    init(_ spec: SIPListen.TLS) throws {
        self.spec = spec
        state = Mutex(
            State(context: try Self.read(spec), stamp: Self.stamp(spec), checked: SystemClock.monotonic()))
    }

    /// A handler for one connection. A changed file that cannot be used leaves the earlier certificate in force.
    func handler() -> NIOSSLServerHandler {
        let context = state.withLock { state in
            let now = SystemClock.monotonic()
            if now - state.checked > Self.checkInterval {
                state.checked = now
                let stamp = Self.stamp(spec)
                if stamp != state.stamp, let context = try? Self.read(spec) {  // half written: the next look tells
                    state.context = context
                    state.stamp = stamp
                }
            }
            return state.context
        }
        return NIOSSLServerHandler(context: context)
    }

    private static func read(_ spec: SIPListen.TLS) throws -> NIOSSLContext {
        let chain = try NIOSSLCertificate.fromPEMFile(spec.certificatePath).map {
            NIOSSLCertificateSource.certificate($0)
        }
        let key = try NIOSSLPrivateKey(file: spec.keyPath, format: .pem)
        return try NIOSSLContext(
            configuration: .makeServerConfiguration(certificateChain: chain, privateKey: .privateKey(key)))
    }

    private static func stamp(_ spec: SIPListen.TLS) -> [Date?] {
        [spec.certificatePath, spec.keyPath].map { path in
            // A file that is gone for the moment has no date.
            (try? FileManager.default.attributesOfItem(atPath: path))?[.modificationDate] as? Date
        }
    }
}
