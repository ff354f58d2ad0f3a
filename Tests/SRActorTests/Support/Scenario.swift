import ClusterRuntime
import Foundation
import RegistrarEvents
import SRActor

/// Runs a script of commands on a `MachineCluster` and puts what came of each under it.
///
/// A script is text: comments begin with `#`; a block is a command, a line `----`, what it prints, and an empty line.
/// Commands:
///
///     nodes a b c [ring=16] [minimum-ttl=1000]   machines, and what their domain allows
///     follower f                                  one that follows as subscribers' nodes do
///     assign epoch=1 owner=a standbys=b+,c [cause=restart] [to=a,b]
///     lease a 800                                 for so many milliseconds
///     journal a broken|writable
///     register a alice phone 60000                at the owner `a`, as of its assignment
///     register a alice phone 60000 epoch=2        at `a`, whatever it knows of that epoch
///     unregister a alice phone
///     delete a alice
///     hand-over a b                               the router orders `a` to
///     clear a [id]
///     list a
///     deliver a b                                 what waits in one link
///     drop a b                                    and what waits there is lost
///     settle                                      everything, and what comes of it
///     cut a b, join a b                           a link that loses everything, in one direction
///     stop a                                      the node is gone
///     advance 500 [quiet]                         milliseconds; settles after each tick, unless quiet
///     show a                                      what it holds
struct Scenario {
    struct Problem: Error, CustomStringConvertible { let description: String }

    private final class Trace { var lines: [String] = [] }

    private var cluster: MachineCluster
    private let trace = Trace()

    private init() throws { cluster = try MachineCluster() }

    /// The script with what its commands print now.
    static func rewritten(_ script: String) throws -> String {
        var scenario = try Scenario()
        var output: [String] = []
        var isExpectation = false
        for line in script.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
            if isExpectation {
                isExpectation = !line.isEmpty
                if line.isEmpty { output.append("") }
            } else if line.isEmpty || line.hasPrefix("#") {
                output.append(line)
            } else if line == "----" {
                isExpectation = true
            } else {
                output += [line, "----"] + (try scenario.run(line))
            }
        }
        return output.joined(separator: "\n")
    }

    private mutating func run(_ line: String) throws -> [String] {
        trace.lines = []
        let words = line.split(separator: " ").map(String.init)
        let plain = words.dropFirst().filter { !$0.contains("=") }
        var named: [String: String] = [:]
        for word in words.dropFirst() where word.contains("=") {
            let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
            named[parts[0]] = parts.count == 2 ? parts[1] : ""
        }
        try run(words[0], plain, named, line)
        return trace.lines
    }

    private mutating func run(
        _ command: String, _ words: [String], _ named: [String: String], _ line: String
    ) throws {
        func word(_ index: Int) throws -> String {
            guard index < words.count else { throw Problem(description: "\(line): word \(index + 1) is missing") }
            return words[index]
        }
        func number(_ index: Int) throws -> Int64 {
            guard let number = Int64(try word(index)) else { throw Problem(description: "\(line): not a number") }
            return number
        }
        switch command {
        case "nodes": try start(words, named)
        case "follower": cluster.follow(try word(0))
        case "assign": try assign(named, line)
        case "lease": cluster.lease(try word(0), milliseconds: try number(1))
        case "journal": cluster.turn(try word(0), .journal(isWritable: try word(1) == "writable"))
        case "register":
            let epoch = try named["epoch"].flatMap { UInt64($0) } ?? cluster[try word(0)].replica.position.epoch
            try cluster.register(
                try word(1), try word(2), ttl: UInt32(clamping: number(3)), to: try word(0), epoch: epoch)
        case "unregister": cluster.unregister(try word(1), try word(2), to: try word(0))
        case "hand-over": cluster.orderHandOver(try word(0), to: try word(1))
        case "delete": cluster.request(.deleteAccount(AccountID(.sipuser, try word(1))), to: try word(0))
        case "clear": cluster.request(.clear, to: try word(0), id: words.count > 1 ? UInt64(try number(1)) : nil)
        case "list": cluster.request(.list(cursor: 0, account: nil), to: try word(0))
        case "deliver": cluster.deliver(try word(0), try word(1))
        case "drop": cluster.drop(try word(0), try word(1))
        case "stop": cluster.stop(try word(0))
        case "settle": cluster.settle()
        case "cut": cluster.cut.insert(.init(from: NodeName(try word(0)), to: NodeName(try word(1))))
        case "join": cluster.cut.remove(.init(from: NodeName(try word(0)), to: NodeName(try word(1))))
        case "advance": cluster.advance(try number(0), settling: words.count < 2)
        case "show": trace.lines.append(try shown(try word(0)))
        default: throw Problem(description: "\(line): there is no command \(command)")
        }
    }

    private mutating func start(_ names: [String], _ named: [String: String]) throws {
        var policy = DomainPolicy()
        if let ring = named["ring"].flatMap({ Int($0) }) { policy.ringEntries = ring }
        if let ttl = named["minimum-ttl"].flatMap({ UInt32($0) }) { policy.minimumTTL = ttl }
        cluster = try MachineCluster()
        for name in names { cluster.start(name, policy: policy) }
        let trace = trace
        cluster.trace = { trace.lines.append(ScenarioText.line($0, $1)) }
        cluster.followerTrace = { trace.lines.append(ScenarioText.line($0, $1)) }
    }

    private mutating func assign(_ named: [String: String], _ line: String) throws {
        guard let epoch = named["epoch"].flatMap({ UInt64($0) }) else {
            throw Problem(description: "\(line): no epoch")
        }
        let cause = ClearReason.allCases.first { $0.name == named["cause"] } ?? .failover
        func list(_ key: String) -> [String]? { named[key]?.split(separator: ",").map(String.init) }
        cluster.assign(
            epoch: epoch, owner: named["owner"], standbys: list("standbys") ?? [], cause: cause, to: list("to"))
    }

    private func shown(_ name: String) throws -> String {
        let replica = cluster.followers[NodeName(name)]?.replica ?? cluster[name].replica
        let contacts = (0..<replica.table.slotCount).compactMap { replica.table.contact(inSlot: $0) }
            .map { "\(ScenarioText.name($0.contact))\($0.isCurrent ? "" : " (not restated)")" }.sorted()
        return "\(name) at \(replica.position)\(replica.isComplete ? " complete" : ""): "
            + (contacts.isEmpty ? "nobody" : contacts.joined(separator: ", "))
    }
}
