import ArgumentParser
import ClusterNode

struct DevCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dev",
        abstract: "Run a small cluster in this process, without any file.",
        discussion: """
            Domain demo.example with the user accounts u0, u1, … and sipusers of the same names, all with the password \
            `secret`. Nothing is kept after the end. The admin address is on the base port, websockets on the next \
            one, SIP (UDP and TCP) on the one after.

            Example: rollcall dev --port-base 9000
            """)

    @Option(help: "The admin address's port; websockets are on the next one, SIP on the one after.")
    var portBase = 8080
    @Option(help: "How many accounts of each kind there are.")
    var accounts = 100
    @Flag(help: "SIP devices register without a password, under any account's name.")
    var open = false
    @OptionGroup var logging: LoggingOption

    func validate() throws {
        guard (1...65521).contains(portBase) else {
            throw ValidationError("--port-base is \(portBase); expected 1 to 65521")
        }
        guard (1...10_000_000).contains(accounts) else {
            throw ValidationError("--accounts is \(accounts); expected 1 to 10000000")
        }
    }

    func run() async throws {
        logging.bootstrap()
        Console.error(
            """
            Domain demo.example, users and sipusers u0 to u\(accounts - 1), password: secret
              admin      http://127.0.0.1:\(portBase)
              websocket  ws://127.0.0.1:\(portBase + 1)/ws
              SIP        127.0.0.1:\(portBase + 2), UDP and TCP\(open ? ", open: no password, any account" : "")
            Try: curl http://127.0.0.1:\(portBase)/rest/v1/registrar/domains/demo.example/contacts
            Ctrl-C stops it.
            """)
        try await NodeRunner.runDevelopment(portBase: portBase, accounts: accounts, isOpen: open)
    }
}
