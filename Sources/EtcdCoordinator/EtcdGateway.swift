import AsyncHTTPClient
import ClusterRuntime
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// Speaks to the JSON gateways of an etcd cluster's members, and asks the next one when one fails.
///
/// It knows the etcd cluster by the id in every answer. Should an endpoint lead to another one, nothing is done any
/// more until the process is started anew: two coordinators would mean two leaders.
final class EtcdGateway: Sendable {
    private struct State {
        var turns: EndpointTurns
        var token = Token.unknown
        /// Of the first answer: what etcd calls the cluster, and who said so.
        var cluster: (id: String, url: String)?
        var division: String?
    }

    private enum Token: Equatable {
        case unknown
        /// Etcd asks for none.
        case needless
        case given(String)

        var text: String? {
            if case .given(let text) = self { text } else { nil }
        }
    }

    /// Bytes of one answer: a page of a thousand records is some 500 KiB.
    private static let maximumAnswer = 32 << 20
    /// How long a watch may be silent before it is taken up anew, in case its connection is gone and nobody said so.
    private static let watchSilence: Duration = .seconds(60)

    private let login: EtcdSpec.Login?
    private let prefix: String
    private let state: Mutex<State>
    private let client: HTTPClient
    private let watcher: HTTPClient
    private let logger: Logger

    /// - Parameters:
    ///   - connecting: how long a connection may take to come about.
    ///   - reading: how long an answer may stall.
    init(
        _ spec: EtcdSpec, connecting: Duration, reading: Duration, logger: Logger
    ) throws(CoordinatorError) {
        login = spec.login
        prefix = spec.prefix
        state = Mutex(State(turns: EndpointTurns(spec.endpoints)))
        self.logger = logger
        let tls = try spec.tls?.configuration()
        func makeClient(_ silence: Duration) -> HTTPClient {
            var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
            configuration.tlsConfiguration = tls
            configuration.httpVersion = .http1Only
            configuration.timeout.connect = .nanoseconds(connecting.nanoseconds)
            configuration.timeout.read = .nanoseconds(silence.nanoseconds)
            configuration.connectionPool.retryConnectionEstablishment = false
            return HTTPClient(
                eventLoopGroupProvider: .shared(MultiThreadedEventLoopGroup.singleton), configuration: configuration)
        }
        client = makeClient(reading)
        watcher = makeClient(Self.watchSilence)
    }

    func shutDown() async {
        for http in [client, watcher] {
            // It can only complain of requests that are still under way, which nobody waits for any more.
            try? await http.shutdown()
        }
    }

    var endpoints: [(url: String, answers: Bool)] {
        state.withLock { state in
            state.turns.endpoints.compactMap { endpoint in endpoint.answers.map { (endpoint.url, $0) } }
        }
    }

    /// Asks one endpoint after the other until one answers.
    /// - Parameters:
    ///   - method: the path after `/v3/`.
    ///   - limit: for the whole answer of each endpoint. What was carried out nevertheless is asked for once more at
    ///     the next one.
    ///   - isUrgent: whether to begin with the endpoint that answered last, instead of the one whose turn it is.
    func call<Answer: Gateway.Reply>(
        _ method: String, _ question: some Encodable & Sendable, within limit: Duration, isUrgent: Bool = false
    ) async throws(EtcdFault) -> Answer {
        let body = ByteBuffer(bytes: JSONForm.bytes(question))
        return try await tryEach(isUrgent: isUrgent) { url throws(EtcdFault) -> Answer in
            try await self.ask(url, method, body, within: limit)
        }
    }

    /// Opens a watch and hands over its lines until it ends.
    func watch(
        _ create: Gateway.Watch, within limit: Duration,
        _ take: @Sendable (Gateway.WatchLine) throws(EtcdFault) -> Void
    ) async throws(EtcdFault) {
        let body = ByteBuffer(bytes: JSONForm.bytes(create))
        let response: HTTPClientResponse = try await tryEach { url throws(EtcdFault) in
            try await self.authorised(url, within: limit) { token throws(EtcdFault) in
                let response = try await self.post(
                    url, "watch", body, token: token, through: self.watcher, within: limit)
                guard response.status == .ok else { throw await self.refusal(in: response, within: limit) }
                return response
            }
        }
        do {
            var lines = LineBuffer()
            for try await part in response.body {
                for line in try lines.take(part) { try take(decode(line)) }
            }
        } catch {
            throw EtcdFault(error)
        }
    }
}

extension EtcdGateway {
    private func tryEach<Answer: Sendable>(
        isUrgent: Bool = false, _ attempt: (String) async throws(EtcdFault) -> Answer
    ) async throws(EtcdFault) -> Answer {
        let (order, urls) = state.withLock { state in
            (
                isUrgent ? state.turns.surest() : state.turns.order(at: SystemClock.monotonic()),
                state.turns.endpoints.map(\.url)
            )
        }
        var failures: [(url: String, fault: EtcdFault)] = []
        for index in order {
            if let division = state.withLock(\.division) { throw .damaged(division) }
            do throws(EtcdFault) {
                let answer = try await attempt(urls[index])
                note(index, urls[index], nil)
                return answer
            } catch {
                switch error {
                case .damaged: throw error
                case .refused:
                    // The endpoint is well; another would say the same.
                    note(index, urls[index], nil)
                    throw error
                case .unreachable, .unanswered, .overloaded, .foreign: break
                }
                // An endpoint is not to blame for a caller that gave up.
                if Task.isCancelled { throw error }
                note(index, urls[index], error)
                failures.append((urls[index], error))
            }
        }
        let text = failures.map { "\($0.url): \($0.fault)" }.joined(separator: "; ")
        let mayBeDone = failures.contains { if case .unanswered = $0.fault { true } else { false } }
        throw mayBeDone ? .unanswered(text) : .unreachable(text)
    }

    private func note(_ index: Int, _ url: String, _ fault: EtcdFault?) {
        let now = SystemClock.monotonic()
        let isNews = state.withLock { state in
            guard fault != nil else { return state.turns.answered(index, at: now) }
            return state.turns.failed(index, at: now)
        }
        guard isNews else { return }
        if let fault {
            logger.warning("etcd endpoint \(url) fails: \(fault)")
        } else {
            logger.info("etcd endpoint \(url) answers again")
        }
    }

    private func ask<Answer: Gateway.Reply>(
        _ url: String, _ method: String, _ body: ByteBuffer, within limit: Duration
    ) async throws(EtcdFault) -> Answer {
        try await authorised(url, within: limit) { token throws(EtcdFault) in
            try await self.exchange(url, method, body, token: token, within: limit)
        }
    }

    private func exchange<Answer: Gateway.Reply>(
        _ url: String, _ method: String, _ body: ByteBuffer, token: String?, within limit: Duration
    ) async throws(EtcdFault) -> Answer {
        let status: HTTPResponseStatus
        let text: ByteBuffer
        do {
            // An answer that begins in time and does not end is none either.
            (status, text) = try await withTimeLimit(limit) {
                let response = try await self.post(url, method, body, token: token, through: self.client, within: limit)
                return (response.status, try await response.body.collect(upTo: Self.maximumAnswer))
            }
        } catch {
            throw EtcdFault(error)
        }
        guard status == .ok else { throw refusal(status, text) }
        let answer: Answer = try decode(text)
        try check(answer.header, of: url)
        return answer
    }

    private func post(
        _ url: String, _ method: String, _ body: ByteBuffer, token: String?, through http: HTTPClient,
        within limit: Duration
    ) async throws(EtcdFault) -> HTTPClientResponse {
        var request = HTTPClientRequest(url: "\(url)/v3/\(method)")
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        if let token { request.headers.add(name: "Authorization", value: token) }
        request.body = .bytes(body)
        do {
            return try await http.execute(request, timeout: .nanoseconds(limit.nanoseconds))
        } catch {
            throw EtcdFault(error)
        }
    }

    private func refusal(in response: HTTPClientResponse, within limit: Duration) async -> EtcdFault {
        do {
            let text = try await withTimeLimit(limit) { try await response.body.collect(upTo: Self.maximumAnswer) }
            return refusal(response.status, text)
        } catch {
            return EtcdFault(error)
        }
    }

    /// Etcd's own words; whatever else answers is not etcd, or one that was told not to speak JSON.
    private func refusal(_ status: HTTPResponseStatus, _ body: ByteBuffer) -> EtcdFault {
        do {
            let refusal = try JSONDecoder().decode(Gateway.Refusal.self, from: Data(body.readableBytesView))
            let text = refusal.text.replacing("etcdserver: ", with: "", maxReplacements: 1)
            switch refusal.code {
            case EtcdFault.Code.unavailable, EtcdFault.Code.deadlineExceeded: return .unanswered(text)
            case EtcdFault.Code.unknown where text.contains("context deadline exceeded"): return .unanswered(text)
            case EtcdFault.Code.resourceExhausted where text.contains("too many requests"): return .overloaded(text)
            case EtcdFault.Code.permissionDenied:
                return .refused(
                    code: refusal.code,
                    "\(text); expected a role that may read and write everything under \(prefix)/")
            default: return .refused(code: refusal.code, text)
            }
        } catch {
            return .foreign(
                "HTTP \(status.code) and nothing of etcd's; expected an etcd of version 3.4 or later with its"
                    + " gRPC gateway on")
        }
    }

    private func decode<Value: Decodable>(_ text: ByteBuffer) throws(EtcdFault) -> Value {
        do {
            return try JSONDecoder().decode(Value.self, from: Data(text.readableBytesView))
        } catch {
            throw .foreign("an answer that is not etcd's")
        }
    }

    private func check(_ header: Gateway.Header, of url: String) throws(EtcdFault) {
        let division: String? = state.withLock { state in
            guard let known = state.cluster else {
                state.cluster = (header.cluster_id, url)
                return nil
            }
            if known.id != header.cluster_id {
                state.division =
                    "\(known.url) is a member of the etcd cluster \(known.id), \(url) of \(header.cluster_id);"
                    + " name members of one cluster, and start the router anew"
            }
            return state.division
        }
        if let division { throw .damaged(division) }
    }
}

extension EtcdGateway {
    /// Runs a call with a token where etcd asks for one; with a new one when it does not accept the one at hand, as
    /// after five idle minutes or a restart. A call that was turned away at the door was not carried out.
    private func authorised<Answer: Sendable>(
        _ url: String, within limit: Duration, _ attempt: (String?) async throws(EtcdFault) -> Answer
    ) async throws(EtcdFault) -> Answer {
        guard let login else {
            do throws(EtcdFault) {
                return try await attempt(nil)
            } catch {
                guard error.isTurnedAway else { throw error }
                throw .refused(
                    code: EtcdFault.Code.unauthenticated,
                    "it asks who calls; expected user and password in the topology's coordinator")
            }
        }
        let token = state.withLock(\.token)
        if token != .unknown {
            do throws(EtcdFault) {
                return try await attempt(token.text)
            } catch {
                guard error.isTurnedAway else { throw error }
            }
        }
        return try await attempt(try await authenticate(login, at: url, within: limit))
    }

    private func authenticate(
        _ login: EtcdSpec.Login, at url: String, within limit: Duration
    ) async throws(EtcdFault) -> String? {
        let password: String
        do throws(EtcdPasswordError) {
            password = try login.password()
        } catch {
            throw .refused(code: EtcdFault.Code.unauthenticated, error.description)
        }
        var token = Token.needless
        do throws(EtcdFault) {
            let body = ByteBuffer(bytes: JSONForm.bytes(Gateway.Login(name: login.user, password: password)))
            let reply: Gateway.LoginReply = try await exchange(
                url, "auth/authenticate", body, token: nil, within: limit)
            token = .given(reply.token)
        } catch .refused(EtcdFault.Code.failedPrecondition, _) {
            // It asks nobody who they are, at the moment.
        } catch .refused(let code, let text) {
            throw .refused(code: code, "user \(login.user): \(text)")
        }
        state.withLock { [token] in $0.token = token }
        return token.text
    }
}
