import ArgumentParser
import ClusterClients
import ClusterRuntime
import Foundation
import NIOCore
import RegistrarEvents

struct ContactsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "contacts",
        abstract: "List who is registered in a domain, as its owner knows it.",
        discussion: """
            Any node that answers is asked; it asks the owner. With --json an array of objects with kind, account, \
            contact_id, expires_in (seconds) and the data of the event.

            Example: rollcall contacts topology/local.yaml --domain demo.example --account 1001
            """)

    @OptionGroup var topology: TopologyArgument
    @Option(help: "The domain.")
    var domain: DomainName
    @Option(help: "Only this account's.")
    var account: String?
    @OptionGroup var json: JSONOption

    func run() async throws {
        let loaded = try topology.load()
        try loaded.requireDomain(domain)
        let body = try await loaded.withClient { client in
            try await client.contactsJSON(of: domain, account: account)
        }
        if json.isOn {
            Console.line(String(buffer: body))
            return
        }
        let contacts = try JSONDecoder().decode([JSONValue].self, from: Data(body.readableBytesView))
        var table = Table("KIND", "ACCOUNT", "CONTACT", "EXPIRES IN", "FROM")
        for contact in contacts.compactMap(\.object) {
            let address = contact["peer_address"]?.text ?? ""
            let port = address.isEmpty ? "" : contact["peer_port"]?.integer.map { ":\($0)" } ?? ""
            table.row(
                contact["kind"]?.text ?? "", contact["account"]?.text ?? "", contact["contact_id"]?.text ?? "",
                "\(contact["expires_in"]?.seconds ?? 0) s", address + port)
        }
        Console.line(table.isEmpty ? "Nobody is registered in \(domain)." : table.text)
    }
}

extension JSONValue {
    /// A number of seconds, whole or not, rounded down.
    fileprivate var seconds: Int64? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int64(value)
        default: nil
        }
    }
}
