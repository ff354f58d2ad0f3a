import ClusterRuntime
import HTTPTypes
import Hummingbird
import RegistrarEvents

/// Anything but success: `{"error":{"status":…,"message":…}}`, with a number that programs may act upon.
struct AdminError: Error, HTTPResponseError {
    let status: HTTPResponse.Status
    var headers: HTTPFields = [:]
    let message: String
    /// A further member of `error`, such as `min_expires`.
    var detail: (name: StaticString, value: UInt64)?
    /// Where the request would be answered.
    var leader: String?

    init(_ status: HTTPResponse.Status, _ message: String) {
        self.status = status
        self.message = message
    }

    /// Nothing is wrong with the request: the same may succeed soon.
    static func tryAgain(_ message: String) -> AdminError {
        var error = AdminError(.serviceUnavailable, message)
        error.headers[.retryAfter] = "1"
        return error
    }

    /// Only the active router answers this: 307 or, with `?redirect=no`, 421 and the address in the body, for pages
    /// that may not follow.
    static func elsewhere(_ leader: String, _ request: Request) -> AdminError {
        let mayRedirect = request.uri.queryParameters["redirect"] != "no"
        var error = AdminError(
            mayRedirect ? .temporaryRedirect : .misdirectedRequest, "the active router is at \(leader)")
        error.leader = leader
        if mayRedirect { error.headers[.location] = leader + request.uri.string }
        return error
    }

    static func unauthorized(_ message: String) -> AdminError {
        var error = AdminError(.unauthorized, message)
        error.headers[.wwwAuthenticate] = #"Bearer realm="rollcall""#
        return error
    }

    /// What an owner refused.
    init(_ refusal: Refusal, domain: DomainName) {
        switch refusal {
        case .notOwner: self = .tryAgain("\(domain) has no owner yet")
        case .unavailable:
            self = .tryAgain("the owner of \(domain) did not answer in time; a change may have been made or not")
        case .overloaded: self = .tryAgain("too many requests for \(domain) are waiting")
        case .intervalTooBrief(let minimum):
            let seconds = (UInt64(minimum) + 999) / 1_000
            self = AdminError(
                HTTPResponse.Status(code: 423, reasonPhrase: "Interval Too Brief"),
                "the ttl is too short; expected at least \(seconds) seconds")
            headers[.minExpires] = "\(seconds)"
            detail = ("min_expires", seconds)
        case .tooManyDevices(let limit):
            self = AdminError(.conflict, "the account has \(limit) contacts already, which is all that it may have")
            detail = ("limit", UInt64(limit))
        case .domainFull(let limit):
            self = AdminError(
                HTTPResponse.Status(code: 507, reasonPhrase: "Insufficient Storage"),
                "\(domain) has \(limit) contacts already, which is all that it may have")
            detail = ("limit", UInt64(limit))
        case .outOfOrder: self = AdminError(.conflict, "the contact was changed by a later request of the same call")
        }
    }

    /// An owner's answer to something else than what was asked.
    static func unexpected(_ result: Reply.Result, domain: DomainName) -> AdminError {
        if case .refused(let refusal) = result { return AdminError(refusal, domain: domain) }
        return AdminError(.badGateway, "the owner of \(domain) answered with something that was not asked for")
    }

    func response(from request: Request, context: some RequestContext) -> Response {
        var json = JSONWriter()
        json.raw(#"{"error":{"status":"#)
        json.unsigned(UInt64(status.code))
        json.raw(#","message":"#)
        json.string(message)
        if let detail {
            json.raw(#",""#)
            json.raw(detail.name)
            json.raw(#"":"#)
            json.unsigned(detail.value)
        }
        if let leader {
            json.raw(#","leader":"#)
            json.string(leader)
        }
        json.raw("}}")
        var response = Response(json, status: status)
        response.headers.append(contentsOf: headers)
        return response
    }
}

extension HTTPField.Name {
    /// Source: RFC 3261 section 20.23, whose 423 this address borrows.
    static let minExpires = HTTPField.Name("Min-Expires")!
}

extension Response {
    init(_ json: JSONWriter, status: HTTPResponse.Status = .ok) {
        self.init(
            status: status, headers: [.contentType: "application/json", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: json.bytes)))
    }
}

/// Gives every error, also those of the library, the one form.
struct AdminErrors: RouterMiddleware {
    func handle(
        _ request: Request, context: AdminContext, next: (Request, AdminContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as AdminError {
            throw error
        } catch let error as any HTTPResponseError {
            let message =
                error.status == .notFound
                ? "there is no \(request.method.rawValue) \(request.uri.path)" : error.status.reasonPhrase
            throw AdminError(error.status, message)
        }
    }
}

/// Refuses changes at paths with an empty part. The router passes over such parts, so with a name left out by mistake
/// the next one would take its place: of a contact's path the rest is that of all contacts of another account.
struct WholePaths: RouterMiddleware {
    func handle(
        _ request: Request, context: AdminContext, next: (Request, AdminContext) async throws -> Response
    ) async throws -> Response {
        let changes = request.method != .get && request.method != .head
        guard !changes || !request.uri.path.contains("//") else {
            throw AdminError(.badRequest, "the path has an empty part; expected a name between any two slashes")
        }
        return try await next(request, context)
    }
}
