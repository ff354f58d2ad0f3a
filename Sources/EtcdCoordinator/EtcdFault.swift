import AsyncHTTPClient
import ClusterRuntime
import Foundation
import NIOCore
import NIOPosix
import NIOSSL

/// How a call to one endpoint failed. What follows from it is whether another endpoint may be asked the same.
enum EtcdFault: Error, Hashable, CustomStringConvertible {
    /// There was no connection, so the request never left.
    case unreachable(String)
    /// It left. Whether it was carried out is not known: no answer came, or the member could not ask the others.
    case unanswered(String)
    /// This member is behind with what is stored already, and does nothing more before it has caught up; others may.
    case overloaded(String)
    /// Etcd does not do it.
    case refused(code: Int, String)
    /// Something answered that is not an etcd.
    case foreign(String)
    /// The endpoints lead to different clusters, or a record cannot be read: somebody has to look.
    case damaged(String)

    var description: String {
        switch self {
        case .unreachable(let what), .unanswered(let what), .overloaded(let what), .foreign(let what),
            .damaged(let what):
            what
        case .refused(_, let what): "etcd refuses: \(what)"
        }
    }
}

extension EtcdFault {
    /// Of gRPC: the codes that mean something here.
    enum Code {
        static let unknown = 2
        static let deadlineExceeded = 4
        static let permissionDenied = 7
        static let resourceExhausted = 8
        static let failedPrecondition = 9
        static let outOfRange = 11
        static let unavailable = 14
        static let unauthenticated = 16
    }

    /// What was asked for lies before etcd's last compaction.
    var isCompacted: Bool {
        if case .refused(Code.outOfRange, _) = self { true } else { false }
    }

    /// Etcd wants a token, or another one: what was asked was not looked at.
    var isTurnedAway: Bool {
        guard case .refused(let code, let text) = self else { return false }
        let doors = ["user name is empty", "invalid auth token", "revision of auth store is old"]
        return code == Code.unauthenticated || doors.contains { text.contains($0) }
    }

    var coordinatorError: CoordinatorError {
        if case .damaged(let what) = self { .damaged(what) } else { .unavailable(description) }
    }

    /// What the HTTP client's errors mean for an operator.
    init(_ error: any Error) {
        let connecting: [HTTPClientError] = [.connectTimeout, .tlsHandshakeTimeout, .getConnectionFromPoolTimeout]
        switch error {
        case let error as EtcdFault: self = error
        case let error as HTTPClientError where connecting.contains(error):
            self = .unreachable("no connection in time")
        case is TimeLimitExceeded: self = .unanswered("no answer in time")
        case let error as HTTPClientError where error == .deadlineExceeded || error == .readTimeout:
            self = .unanswered("no answer in time")
        case let error as HTTPClientError where error == .remoteConnectionClosed:
            self = .unanswered("the connection was closed before an answer came")
        case let error as NIOConnectionError:
            let first: (any Error)? = error.connectionErrors.first?.error ?? error.dnsAError ?? error.dnsAAAAError
            self = .unreachable("no connection to \(error.host): \(Self.plain(first ?? error))")
        case let error as IOError where error.errnoCode == ECONNREFUSED: self = .unreachable(Self.plain(error))
        case let error as IOError: self = .unanswered(Self.plain(error))
        case let error as NIOSSLError: self = .unreachable("TLS fails: \(Self.plain(error))")
        case let error as NIOSSLExtraError: self = .unreachable("TLS fails: \(error.description)")
        case let error as BoringSSLError: self = .unreachable("TLS fails: \(Self.plain(error))")
        default: self = .unanswered("\(error)")
        }
    }

    private static func plain(_ error: any Error) -> String {
        switch error {
        case let error as IOError: String(cString: strerror(error.errnoCode)).lowercased()
        case NIOSSLError.handshakeFailed(let cause): plain(cause)
        case let error as BoringSSLError: plain(library: "\(error)")
        default: "\(error)"
        }
    }

    /// BoringSSL's own words, such as `error:1000007d:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED at …`,
    /// hold one that means something.
    private static func plain(library text: String) -> String {
        guard let word = text.firstMatch(of: #/OPENSSL_internal:([A-Z0-9_]+)/#)?.1 else { return text }
        return switch word {
        case "CERTIFICATE_VERIFY_FAILED": "the server's certificate is not from this CA, or not for this name"
        case "WRONG_VERSION_NUMBER": "the server does not speak TLS there"
        case "TLSV1_ALERT_CERTIFICATE_REQUIRED", "TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_BAD_CERTIFICATE":
            "the server does not accept our certificate, or asks for one"
        default: word.lowercased().replacing("_", with: " ")
        }
    }
}
