import ArgumentParser
import ClusterNode
import ClusterRuntime
import Foundation
import RegistrarEvents

struct AccountCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "account",
        abstract: "Add, import, list and remove accounts.",
        discussion: """
            Works on the file or database of accounts that the topology names; running nodes take changes over within \
            seconds. Passwords are stored as hashes only.

            Example: rollcall account add topology/local.yaml --domain demo.example --kind user alice
            """,
        subcommands: [AccountAdd.self, AccountImportCommand.self, AccountList.self, AccountRemove.self])
}

struct AccountAdd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Add an account, or a range of them.",
        discussion: """
            The password is asked for unless it is given; on the command line others on this machine can see it. The \
            accounts of a range share it.

            Example: rollcall account add topology/local.yaml --domain demo.example --kind sipuser 2001
                     rollcall account add topology/local.yaml --domain demo.example --kind sipuser --range 3001..3100
                     echo "$PASSWORD" | rollcall account add FILE --domain demo.example --kind user al --password-stdin
            """)

    @OptionGroup var topology: TopologyArgument
    @Argument(help: "The account's name.")
    var name: String?
    @Option(help: "Names that count up, instead of one: FIRST..LAST such as 3001..3100.")
    var range: String?
    @Option(help: "The account's domain.")
    var domain: DomainName
    @Option(help: "user (logs in at a websocket) or sipuser (a SIP device).")
    var kind: AccountKind
    @Option(help: "The password.")
    var password: String?
    @Flag(name: .customLong("password-stdin"), help: "Read the password from the first line of stdin.")
    var passwordFromInput = false

    func validate() throws {
        guard (name == nil) != (range == nil) else {
            throw ValidationError(
                "\(name == nil ? "neither a name nor" : "both a name and") --range; expected one of them")
        }
        guard password == nil || !passwordFromInput else {
            throw ValidationError("--password and --password-stdin are both given; expected one of them at most")
        }
    }

    func run() async throws {
        let loaded = try topology.load()
        try loaded.requireDomain(domain)
        let secret = try password ?? PasswordInput.read(prompting: !passwordFromInput)
        let accounts = try loaded.openAccounts(create: true)
        if let name { try accounts.add(domain, AccountID(kind, name), password: secret) }
        if let range { try accounts.addRange(domain, kind, range, password: secret) }
        Console.error("Added \(kind.name) \(name ?? range ?? "") of \(domain).")
    }
}

struct AccountImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Add the accounts of a CSV file.",
        discussion: """
            The file begins with the header domain,kind,name,password. All accounts are added, or none when a line is \
            wrong. Hashing takes some ten milliseconds of CPU a user, and next to nothing a sipuser.

            Example: rollcall account import topology/local.yaml accounts.csv
            """)

    @OptionGroup var topology: TopologyArgument
    @Argument(help: "The CSV file.", completion: .file(extensions: ["csv"]))
    var csv: String

    func run() async throws {
        let accounts = try topology.load().openAccounts(create: true)
        let display = ImportDisplay()
        let count: Int
        do {
            count = try accounts.importCSV(path: csv, progress: display.show)
        } catch {
            display.end()
            throw error
        }
        display.end()
        Console.error("Added \(count) accounts in \(display.elapsed).")
    }
}

struct AccountList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the accounts.",
        discussion: "Example: rollcall account list topology/local.yaml --domain demo.example")

    @OptionGroup var topology: TopologyArgument
    @Option(help: "Only this domain's.")
    var domain: DomainName?
    @OptionGroup var json: JSONOption

    private struct Entry: Encodable {
        let domain: String
        let kind: String
        let name: String
        let count: Int
        let digest: Bool
    }

    func run() async throws {
        let loaded = try topology.load()
        if let domain { try loaded.requireDomain(domain) }
        let entries = try loaded.openAccounts().list(domain)
        if json.isOn {
            try Console.json(
                entries.map { entry in
                    Entry(
                        domain: entry.domain.rawValue, kind: entry.kind.name, name: entry.name, count: entry.count,
                        digest: entry.hasDigest)
                })
            return
        }
        var table = Table("DOMAIN", "KIND", "NAME", "ACCOUNTS", "SIP DIGEST")
        for entry in entries {
            table.row(
                entry.domain.rawValue, entry.kind.name, entry.name, String(entry.count), entry.hasDigest ? "yes" : "no")
        }
        Console.line(table.isEmpty ? "There are no accounts." : table.text)
    }
}

struct AccountRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Remove an account, or a range as it is listed.",
        discussion: """
            What is registered under it ends within seconds.

            Example: rollcall account remove topology/local.yaml --domain demo.example --kind user u7
            """)

    @OptionGroup var topology: TopologyArgument
    @Argument(help: "The account's name, or a range such as u1..u100.")
    var name: String
    @Option(help: "The account's domain.")
    var domain: DomainName
    @Option(help: "user or sipuser.")
    var kind: AccountKind

    func run() async throws {
        let loaded = try topology.load()
        try loaded.requireDomain(domain)
        try loaded.openAccounts().remove(domain, AccountID(kind, name))
        Console.error("Removed \(kind.name) \(name) of \(domain).")
    }
}
