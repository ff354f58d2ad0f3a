import ClusterRuntime
import Foundation
import Logging
import NIOSSL
import Testing

@testable import ServerTLS

@Suite(.timeLimit(.minutes(1))) struct ServerCertificateTests {
    private let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// Runs with a directory of its own that is removed afterwards.
    private func withDirectory(_ body: (URL) throws -> Void) throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "rollcall-tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }  // a leftover in /tmp fails nothing
        try body(directory)
    }

    private func makeCertificate(_ directory: URL, _ name: String = "server") throws {
        let openssl = Process()
        openssl.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        openssl.arguments = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=\(UUID().uuidString)", "-keyout", directory.appending(path: "\(name).key").path,
            "-out", directory.appending(path: "\(name).pem").path,
        ]
        openssl.standardError = FileHandle.nullDevice
        try openssl.run()
        openssl.waitUntilExit()
        try #require(openssl.terminationStatus == 0)
    }

    private func files(_ directory: URL, _ name: String = "server") -> TLSFiles {
        TLSFiles(
            certificatePath: directory.appending(path: "\(name).pem").path,
            keyPath: directory.appending(path: "\(name).key").path)
    }

    private func later(_ seconds: Int64) -> MonotonicInstant { SystemClock.monotonic() + .seconds(seconds) }

    @Test func aChangedCertificateCountsFromTheNextLookOn() throws {
        try withDirectory { directory in
            try makeCertificate(directory)
            let certificate = try ServerCertificate(files(directory), log: log)
            let first = certificate.context(at: later(0))
            #expect(certificate.context(at: later(10)) === first)
            try makeCertificate(directory)
            #expect(certificate.context(at: later(11)) === first, "the files are not looked at all the time")
            let second = certificate.context(at: later(16))
            #expect(second !== first)
            #expect(certificate.context(at: later(30)) === second)
        }
    }

    @Test func filesThatCannotBeUsedLeaveTheEarlierCertificateInForce() throws {
        try withDirectory { directory in
            try makeCertificate(directory)
            let certificate = try ServerCertificate(files(directory), log: log)
            let first = certificate.context(at: later(0))
            let key = directory.appending(path: "server.key")
            let whole = try Data(contentsOf: key)
            try Data("nonsense".utf8).write(to: key)
            #expect(certificate.context(at: later(6)) === first)
            try FileManager.default.removeItem(at: key)
            #expect(certificate.context(at: later(12)) === first)
            try whole.write(to: key)
            #expect(certificate.context(at: later(18)) !== first)
        }
    }

    @Test func aLinkToAnotherTargetIsAChange() throws {
        try withDirectory { directory in
            for name in ["a", "b"] { try makeCertificate(directory, name) }
            func link(_ name: String) throws {
                for suffix in ["pem", "key"] {
                    let link = directory.appending(path: "server.\(suffix)")
                    try? FileManager.default.removeItem(at: link)  // the first time there is none
                    try FileManager.default.createSymbolicLink(
                        at: link, withDestinationURL: directory.appending(path: "\(name).\(suffix)"))
                }
            }
            try link("a")
            let certificate = try ServerCertificate(files(directory), log: log)
            let first = certificate.context(at: later(0))
            try link("b")
            #expect(certificate.context(at: later(6)) !== first)
        }
    }

    @Test func whatCannotBeUsedIsToldByFileAndExpectation() throws {
        try withDirectory { directory in
            for name in ["a", "b"] { try makeCertificate(directory, name) }
            func problem(_ files: TLSFiles) -> String {
                do throws(CertificateProblem) {
                    _ = try ServerCertificate(files, log: log)
                    return "none"
                } catch {
                    return error.description
                }
            }
            let (a, b) = (files(directory, "a"), files(directory, "b"))
            #expect(problem(a) == "none")
            let missing = directory.appending(path: "missing.pem").path
            let noCertificate = problem(TLSFiles(certificatePath: missing, keyPath: a.keyPath))
            #expect(noCertificate.hasPrefix("\(missing) cannot be used: "))
            #expect(noCertificate.hasSuffix("; expected a certificate chain in PEM"))
            let noKey = problem(TLSFiles(certificatePath: a.certificatePath, keyPath: a.certificatePath))
            #expect(noKey.hasSuffix("; expected a private key in PEM, without a password"))
            let otherKey = problem(TLSFiles(certificatePath: a.certificatePath, keyPath: b.keyPath))
            #expect(otherKey.hasSuffix("; expected the key of the certificate in \(a.certificatePath)"))
        }
    }
}
