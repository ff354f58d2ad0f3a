import AccessTokens
import ArgumentParser
import ClusterRuntime
import RegistrarEvents

struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Print an access token.",
        discussion: """
            With --user the token is for that user's `login` at a websocket; without, it is a service token for \
            /ws/token/v1/TOKEN and for the domain's part of the admin addresses. With --admin it is good for \
            everything at the admin addresses of the whole cluster. Every node of the cluster accepts it until it \
            expires; it cannot be taken back before. The cluster secret is needed, and made when it is missing.

            It is good for everything of its domain unless --class, --account or --capability (each as often as \
            wanted) say what it is good for; --subtree adds the domains beneath.

            Example: curl -H "Authorization: Bearer $(rollcall token topology/local.yaml --domain demo.example)" \\
                       http://127.0.0.1:8121/rest/v1/registrar/domains/demo.example/contacts
                     rollcall token topology/local.yaml --admin --ttl 600
            """)

    @OptionGroup var topology: TopologyArgument
    @Option(help: "The domain that the token is for.")
    var domain: DomainName?
    @Option(help: "The user account that may log in with it.")
    var user: String?
    @Flag(help: "Good for the domains beneath as well.")
    var subtree = false
    @Option(name: .customLong("class"), help: "A class of events that it is for.")
    var classes: [EventClass] = []
    @Option(name: .customLong("account"), help: "An account that it is for.")
    var accounts: [String] = []
    @Option(name: .customLong("capability"), help: "What can be done with it.")
    var capabilities: [AccessCapability] = []
    @Flag(help: "An admin token for the whole cluster, instead of one for a domain.")
    var admin = false
    @Option(help: "How long it is valid, in seconds.")
    var ttl: Int = 3600
    @OptionGroup var json: JSONOption

    private struct Document: Encodable {
        let token: String
        let scope: String
        let domain: String?
        let user: String?
        let ttl: Int
    }

    func validate() throws {
        guard admin != (domain != nil) else {
            throw ValidationError("expected either --domain or --admin; \(admin ? "both" : "neither") is given")
        }
        guard !admin || user == nil else {
            throw ValidationError("--user with --admin; a user belongs to a domain")
        }
        guard !admin || !subtree && accounts.isEmpty else {
            throw ValidationError("--subtree or --account with --admin; they belong to a domain")
        }
        let longest = AccessTokens.maximumTTL.components.seconds
        guard ttl >= 1, ttl <= longest else {
            throw ValidationError("--ttl is \(ttl); expected 1 to \(longest) seconds")
        }
    }

    func run() async throws {
        let loaded = try topology.load()
        if let domain { try loaded.requireDomain(domain) }
        guard let secret = try loaded.clusterSecret() else {
            throw CommandFailure.badInput(
                "\(loaded.file) says `secret: none`, so there is no key for tokens; "
                    + "give it `secret: { file: var/secret }`"
            )
        }
        let scope: AccessScope = admin ? .admin : user == nil ? .service : .user
        let rights = AccessRights(
            domain: domain, includesSubtree: subtree,
            classes: classes.isEmpty ? Set(EventClass.allCases) : Set(classes),
            accounts: accounts.isEmpty ? nil : accounts,
            capabilities: capabilities.isEmpty ? Set(AccessCapability.allCases) : Set(capabilities))
        let token = try await AccessTokens(secret).mint(scope, rights: rights, user: user, ttl: .seconds(ttl))
        if json.isOn {
            try Console.json(
                Document(token: token, scope: scope.rawValue, domain: domain?.rawValue, user: user, ttl: ttl))
        } else {
            Console.line(token)
        }
    }
}
