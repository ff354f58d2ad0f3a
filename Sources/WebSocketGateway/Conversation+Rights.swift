import AccessTokens
import ClusterRuntime
import RegistrarEvents
import WSSubscrActor

/// What a logged-in client may follow.
///
/// A refusal never depends on what there is beyond the client's rights: a domain of somebody else's is refused in the
/// same words, and as fast, whether it exists or not.
extension Conversation {
    /// The domain that a subscription is for: `exargs.domain`, or else what it was for, or else the client's own.
    /// - Parameter current: of a subscription that there is already.
    func domain(
        _ parameters: Parameters, of current: DomainName?, for member: Member
    ) throws(ReplyError) -> DomainName {
        var domain = current ?? member.domain
        if let extra = try parameters.object("exargs"), extra.has("domain") {
            let text = try extra.string("domain", maximum: DomainName.maximumLength)
            guard let named = DomainName(text) else { throw .badRequest("`exargs.domain` is no domain name") }
            domain = named
        }
        guard member.rights.include(domain) else { throw .forbidden("this connection may not follow that domain") }
        guard current == nil || current == domain else {
            throw .conflict("the subscription is for another domain; end it first, or use another id")
        }
        guard serves(domain) else {
            throw .unknown("there is no domain \(domain); name one that there is by `exargs.domain`")
        }
        return domain
    }

    /// What is left of a matcher by the client's rights.
    /// - Throws: 403 when something was asked for by name that is beyond them.
    func narrow(
        _ matcher: SubscriptionMatcher, events parameters: Parameters, for member: Member
    ) throws(ReplyError) -> SubscriptionMatcher {
        let rights = member.rights
        guard rights.include(.subscribe) else {
            throw .forbidden("the token lacks the capability `\(AccessCapability.subscribe.rawValue)`")
        }
        for event in try parameters.strings("events", maximum: Self.maximumEvents) {
            guard rights.include(EventClass(event: event)) else {
                throw .forbidden("the token is not for events of that class")
            }
        }
        guard let accounts = rights.accounts else { return matcher }
        guard !accounts.isEmpty else { throw .forbidden("the token is for no account") }
        guard let objects = matcher.objects else { return matcher.limited(to: accounts) }
        guard objects.allSatisfy({ rights.include(account: $0) }) else {
            throw .forbidden("the token is not for all of these accounts")
        }
        return matcher
    }
}

extension EventClass {
    /// The class of an event as subscriptions name them. `*` is all of `registrarevents`.
    init(event: String) {
        self = EventClass(rawValue: String(event.prefix { $0 != "." })) ?? .registrarEvents
    }
}
