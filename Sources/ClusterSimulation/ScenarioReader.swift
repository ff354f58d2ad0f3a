public import ClusterRuntime
import RegistrarEvents

/// Why a scenario file is none: everything that is wrong with it, by line.
public struct ScenarioFileError: Error, CustomStringConvertible {
    public let problems: [FileProblem]
    public var description: String { problems.map(\.description).joined(separator: "\n") }
}

extension Scenario {
    /// Reads a scenario from a file's text.
    /// - Parameter file: the file's name, for what is wrong with it.
    public init(parsing text: String, file: String) throws(ScenarioFileError) {
        var reader = ScenarioReader(file: file)
        self = try reader.read(text)
    }
}

/// Reads scenario files, as docs/testing.md has them.
struct ScenarioReader {
    let file: String
    var problems: [FileProblem] = []
    /// The line that is being read, from 1.
    var line = 0
    /// Where each act is written.
    var actLines: [Int] = []
    var scenario = Scenario(options: .calm, chance: nil, acts: [], length: .zero)

    static let lengths: ClosedRange<Duration> = .milliseconds(1)...(.seconds(600))
    static let maximumActs = 100_000

    init(file: String) { self.file = file }

    mutating func read(_ text: String) throws(ScenarioFileError) -> Scenario {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)[...]
        if lines.last == "" { lines = lines.dropLast() }
        while let next = lines.popFirst() {
            line += 1
            if next == Scenario.rule {
                let trace = lines.map(String.init)
                scenario.trace = trace.isEmpty ? nil : trace
                break
            }
            read(line: next)
        }
        if scenario.length == .zero { report("the file does not say how long it is", "`until: 8s`, or another time") }
        checkActs()
        guard problems.isEmpty else { throw ScenarioFileError(problems: problems) }
        return scenario
    }

    mutating func report(_ wrong: String, _ expected: String) {
        guard problems.count < 200 else { return }
        problems.append(FileProblem(file: file, line: max(line, 1), wrong: wrong, expected: expected))
    }

    private mutating func read(line text: Substring) {
        if text.hasPrefix("#") {
            if scenario.acts.isEmpty { scenario.about.append(String(text.dropFirst(text.hasPrefix("# ") ? 2 : 1))) }
            return
        }
        let words = text.split(separator: " ").map(String.init)
        guard let first = words.first else { return }
        if first == "at" {
            guard scenario.acts.count < Self.maximumActs else {
                return report("too much is done", "at most \(Self.maximumActs) lines that begin with `at`")
            }
            guard let timed = act(Array(words.dropFirst())) else { return }
            scenario.acts.append(timed)
            actLines.append(line)
        } else if first.hasSuffix(":") {
            set(String(first.dropLast()), words.dropFirst().joined(separator: " "))
        } else {
            report("`\(first)`", "`at TIME …`, `SETTING: …`, `# …` or `\(Scenario.rule)`")
        }
    }

    // MARK: Settings

    private mutating func set(_ name: String, _ text: String) {
        switch name {
        case "nodes": setNodes(text)
        case "domains": scenario.options.domains = number(text, in: 1...2) ?? 1
        case "replicas": scenario.options.replicas = number(text, in: 1...5) ?? 2
        case "ring": scenario.options.ringEntries = number(text, in: 1...65_536) ?? 65_536
        case "window": setWindow(text)
        case "turns": scenario.options.turnDelay = milliseconds(text, in: 1...1_000) ?? 1
        case "sockets": scenario.options.socketDelay = milliseconds(text, in: 1...1_000) ?? 1
        case "grace": scenario.options.restartGrace = milliseconds(text, in: 1_000...600_000) ?? 5_000
        case "rebalance": scenario.options.rebalanceAfter = milliseconds(text, in: 0...600_000) ?? 300_000
        case "availability":
            if !["accept", "refuse"].contains(text) { report("availability is `\(text)`", "accept or refuse") }
            scenario.options.acceptsWithoutLease = text == "accept"
        case "recent": scenario.options.recentEvents = number(text, in: 1...65_536) ?? 65_536
        case "slice": scenario.options.sliceBytes = number(text, in: 100...1 << 20) ?? 65_536
        case "budget": scenario.options.socketBudget = number(text, in: 100...1 << 30) ?? 1 << 20
        case "delay": scenario.options.maximumDelay = milliseconds(text, in: 1...1_000) ?? 2
        case "loss": scenario.options.loss = share(text) ?? 0
        case "duplication": scenario.options.duplication = share(text) ?? 0
        case "reordering": scenario.options.reordering = share(text) ?? 0
        case "drift": scenario.options.drift = share(text) ?? 0
        case "coordinator": scenario.options.coordinatorDelay = milliseconds(text, in: 1...5_000) ?? 10
        case "hints":
            if !["yes", "no"].contains(text) { report("hints are `\(text)`", "yes or no") }
            scenario.options.vacancyHints = text == "yes"
        case "spread":
            if !["site", "server"].contains(text) { report("spread is `\(text)`", "site or server") }
            scenario.options.spreads = text == "site"
        case "watches":
            scenario.options.hasWatches = true
            scenario.options.watchDelay = milliseconds(text, in: 1...5_000) ?? 10
        case "broker":
            scenario.options.hasBroker = true
            scenario.options.brokerDelay = milliseconds(text, in: 1...1_000) ?? 20
        case "unanswered": scenario.options.unanswered = share(text) ?? 0
        case "refused": scenario.options.refused = share(text) ?? 0
        case "missed": scenario.options.missed = share(text) ?? 0
        case "queue": scenario.options.brokerQueueBytes = number(text, in: 1...(1 << 20)) ?? 1 << 20
        case "spool": scenario.options.brokerSpoolBytes = number(text, in: 0...(1 << 20)) ?? 1 << 20
        case "quorum": scenario.options.quorumSize = number(text, in: 0...50) ?? 0
        case "group": scenario.options.groupSize = number(text, in: 0...49) ?? 0
        case "pin":
            scenario.options.pin = text.split(separator: " ").compactMap { name in
                number(String(name.drop { $0 == "s" }), in: 1...50).map { $0 - 1 }
            }
        case "former": scenario.options.former = text.split(separator: " ").map { NodeName(String($0)) }
        case "plant":
            scenario.options.plantedBug = PlantedBug(rawValue: text)
            if scenario.options.plantedBug == nil {
                report("there is no bug `\(text)`", PlantedBug.allCases.map(\.rawValue).joined(separator: ", "))
            }
        case "chance":
            scenario.chance = UInt64(text)
            if scenario.chance == nil { report("chance is `\(text)`", "a number, or no such line") }
        case "until": scenario.length = duration(text) ?? .seconds(1)
        case "breaks": scenario.ending = .broken(text)
        default:
            report(
                "there is no setting `\(name)`",
                "nodes, domains, replicas, ring, delay, loss, duplication, reordering, drift, coordinator, hints, "
                    + "group, pin, quorum, spread, former, watches, broker, unanswered, refused, missed, queue, spool, "
                    + "recent, slice, budget, window, turns, sockets, grace, rebalance, availability, plant, "
                    + "chance, until or breaks")
        }
    }

    /// Entries and chunks under way, slots a chunk, entries a message, and how near is near.
    private mutating func setWindow(_ text: String) {
        let numbers = text.split(separator: " ").compactMap { Int($0) }.filter { (0...65_536).contains($0) }
        guard numbers.count == 5, numbers.prefix(4).allSatisfy({ $0 > 0 }) else {
            return report("the window is `\(text)`", "five numbers, such as 8192 16 448 512 256")
        }
        scenario.options.window.entries = UInt64(numbers[0])
        scenario.options.window.chunks = numbers[1]
        scenario.options.window.slotsPerChunk = numbers[2]
        scenario.options.window.entriesPerMessage = numbers[3]
        scenario.options.window.nearlyThere = UInt64(numbers[4])
    }

    private mutating func setNodes(_ text: String) {
        for part in text.split(separator: ",") {
            let words = part.split(separator: " ")
            guard words.count == 2, let count = number(String(words[0]), in: 1...50) else {
                return report("nodes are `\(text)`", "such as `1 router, 2 sr, 1 wssubscr`")
            }
            switch words[1] {
            case "router": scenario.options.routers = count
            case "sr": scenario.options.registrars = count
            case "wssubscr": scenario.options.followers = count
            case "sg": scenario.options.gateways = count
            default: report("there are no nodes of role `\(words[1])`", "router, sr, wssubscr or sg")
            }
        }
    }

    mutating func number(_ text: String, in range: ClosedRange<Int>) -> Int? {
        guard let number = Int(text), range.contains(number) else {
            report("`\(text)`", "a number from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return number
    }

    private mutating func share(_ text: String) -> Double? {
        guard let share = Double(text), (0...1).contains(share) else {
            report("`\(text)`", "a share from 0 to 1")
            return nil
        }
        return share
    }

    private mutating func milliseconds(_ text: String, in range: ClosedRange<Int64>) -> Int? {
        guard let value = duration(text) else { return nil }
        guard range.contains(value.milliseconds) else {
            report("`\(text)`", "from \(range.lowerBound)ms to \(range.upperBound)ms")
            return nil
        }
        return Int(value.milliseconds)
    }

    mutating func duration(_ text: String) -> Duration? {
        guard let duration = Quantity.duration(text), Self.lengths.contains(duration) else {
            report("`\(text)`", "a time from 1ms to 10m, such as 250ms or 3.5s")
            return nil
        }
        return duration
    }
}
