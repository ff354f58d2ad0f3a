import ClusterClients
import ClusterRuntime
import Foundation
import NIOCore
import NIOHTTP1
import NodeProcesses
import RegistrarEvents
import Testing

/// Who is online, as a subscriber of real processes is told and as HTTP has it.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct DerivedStatesTests {
    private static let path = "/rest/v1/uc/sipuser_states"
    private static let subscription: [String: JSONValue] = [
        "id": "states", "events": ["modelevents.data_changed"], "classpath": .string(path),
    ]

    /// A notice as a client reads it.
    private struct Notice: Equatable, CustomStringConvertible {
        var position: Position
        var id: String
        var status: String
        var operation: Int
        var description: String { "\(position) \(id) \(status) (\(operation))" }
    }

    @Test func firstAndLastContactsAreToldOnceOverAFailoverAndAtEitherNode() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let (added, text) = try await cluster.run(
            "account", "add", cluster.topologyFile, "--domain", "demo.example", "--kind", "sipuser", "--range",
            "1001..1009", "--password", "secret")
        try #require(added == .exited(0), "\(text)")
        let (_, printed) = try await cluster.run("token", cluster.topologyFile, "--domain", "demo.example")
        let token = String(printed.split(separator: "\n").last ?? "")
        let client = ClusterClient(topology: cluster.topology, token: token)
        try await cluster.whileUp { cluster, _ in
            let last = try await connected(cluster, "ws1", token, ["snapshot": true]) { messages in
                try await register("1001", "desk", client, at: "sr1")
                let first = try await notice(&messages)
                #expect((first.id, first.status, first.operation) == ("1001", "online", 2))
                // Renewals and further contacts change nothing, nor does a failover.
                try await register("1001", "desk", client, at: "router1")
                try await register("1001", "cell", client, at: "ws2")
                try await failOver(cluster, client)
                try await register("1002", "desk", client, at: "sr2")
                let second = try await notice(&messages)
                #expect((second.id, second.status, second.operation) == ("1002", "online", 2))
                #expect(second.position.epoch > first.position.epoch)
                return second.position
            }
            for node in cluster.topology.nodes { try await expectStates(client, at: node) }

            // Nobody listens meanwhile; the other node tells what was missed.
            let cleared = try await ask(client, .DELETE, "/1001", at: "ws1")
            #expect(cleared.status == 204)
            let after = JSONValue.object(["epoch": .integer(Int64(last.epoch)), "seq": .integer(Int64(last.seq))])
            _ = try await connected(cluster, "ws2", token, ["after": after]) { messages in
                let missed = try await notice(&messages)
                #expect((missed.id, missed.status, missed.operation) == ("1001", "offline", 2))
                let emptied = try await client.send(
                    .DELETE, "/rest/v1/registrar/domains/demo.example/contacts?confirm=demo.example",
                    to: try node("sr1", cluster), timeout: .seconds(20))
                #expect(emptied.isOK, "\(emptied.text)")
                let end = try await notice(&messages)
                #expect((end.id, end.status) == ("1002", "offline"))
                return end.position
            }
            #expect(try await ask(client, .GET, "/1002", at: "router2").text.contains("offline"))
        }
        await client.shutDown()
    }

    /// 1001 and 1002 are online, 1003 is not, and there is no 2001; every node says so.
    private func expectStates(_ client: ClusterClient, at node: NodeSpec) async throws {
        for (account, expected) in [("1001", "online"), ("1002", "online"), ("1003", "offline")] {
            let answer = try await ask(client, .GET, "/\(account)", at: node.name.rawValue)
            #expect(answer.text == #"{"id":"\#(account)","username":"\#(account)","status":"\#(expected)"}"#)
        }
        #expect(try await ask(client, .GET, "/2001", at: node.name.rawValue).status == 404)
        let online = "%5B%22==%22,%5B%22property%22,%22status%22%5D,%22online%22%5D"
        // A node that follows the domain may be a moment behind.
        try await eventually("\(node.name) lists who is online") {
            try await ask(client, .GET, "?mask=id&filter=\(online)", at: node.name.rawValue).text
                == #"[{"id":"1001"},{"id":"1002"}]"#
        }
        let all = try await ask(client, .GET, "?mask=id&order=-id&limit=2", at: node.name.rawValue)
        #expect(all.text == #"[{"id":"1009"},{"id":"1008"}]"#, "\(node.name)")
    }

    private func failOver(_ cluster: TestCluster, _ client: ClusterClient) async throws {
        let before = try await cluster.domainStatus()
        let owner = NodeName(try #require(before.owner))
        _ = try #require(NodeProcess.signal(SIGKILL, owner, of: cluster.topologyFile))
        try await eventually("another owner in a new epoch") {
            try await cluster.domainStatus().epoch > before.epoch
        }
        try await eventually("the killed node is back", within: .seconds(30)) {
            for node in cluster.topology.nodes {
                guard await client.health(of: node) == .healthy else { return false }
            }
            return true
        }
    }

    // MARK: Websocket

    private func connected(
        _ cluster: TestCluster, _ name: String, _ token: String, _ start: [String: JSONValue],
        _ body: (inout WebSocketConnection.Iterator) async throws -> Position
    ) async throws -> Position {
        let spec = try node(name, cluster)
        let endpoint = WebSocketClient.Endpoint(spec, path: "/ws/token/v1/\(token)")
        return try await WebSocketClient().withConnection(to: endpoint) { connection in
            var messages = connection.messages.makeAsyncIterator()
            _ = try await messages.request("subscribe", Self.subscription.merging(["exargs": .object(start)]) { $1 })
            return try await body(&messages)
        }
    }

    /// The next change; the `clear` of an empty snapshot is passed over.
    private func notice(_ messages: inout WebSocketConnection.Iterator) async throws -> Notice {
        while let message = try await messages.next() {
            guard let (method, fields) = JSONValue.message(message), method == "event",
                let event = fields["event"]?.object, let data = event["data"]?.object
            else { continue }
            if event["type"] == "clear", data["reason"] == "snapshot" { continue }
            #expect(event["class"] == "modelevents" && event["type"] == "data_changed")
            #expect(data["eclass"] == "sipuser_states")
            let entity = try #require(data["entity"]?.object)
            return Notice(
                position: Position(
                    epoch: UInt64(fields["epoch"]?.integer ?? 0), seq: UInt64(fields["seq"]?.integer ?? 0)),
                id: entity["id"]?.text ?? "", status: entity["status"]?.text ?? "",
                operation: Int(data["operation"]?.integer ?? -1))
        }
        throw NotInTime(description: "the connection ended")
    }

    // MARK: HTTP

    private func node(_ name: String, _ cluster: TestCluster) throws -> NodeSpec {
        try #require(cluster.topology.node(named: NodeName(name)))
    }

    private func ask(
        _ client: ClusterClient, _ method: HTTPMethod, _ rest: String, at name: String
    ) async throws -> ClusterClient.Answer {
        let spec = try #require(client.topology.node(named: NodeName(name)))
        return try await client.send(method, Self.path + rest, to: spec, timeout: .seconds(20))
    }

    private func register(_ account: String, _ contact: String, _ client: ClusterClient, at name: String) async throws {
        let spec = try #require(client.topology.node(named: NodeName(name)))
        let body = #"{"kind":"sipuser","account":"\#(account)","contact_id":"\#(contact)","ttl":300}"#
        let answer = try await client.send(
            .POST, ClusterClient.contactsPath(TestCluster.domain), to: spec, body: ByteBuffer(string: body),
            timeout: .seconds(20))
        #expect(answer.isOK, "\(answer.text)")
    }
}
