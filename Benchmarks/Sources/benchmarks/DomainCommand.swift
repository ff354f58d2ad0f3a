import ArgumentParser
import Foundation

struct DomainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "domain", abstract: "An owner's machine: operations a second, memory, and how both grow.")

    static let defaultSizes = [10_000, 100_000, 1_000_000]

    @Option(parsing: .upToNextOption, help: "Registrations, for which each is measured in a process of its own.")
    var sizes = defaultSizes
    @Option(help: "Rounds, of which the median is shown.")
    var rounds = 5
    @OptionGroup var output: OutputOptions

    func run() throws { output.show(try Self.tables(sizes: sizes, rounds: rounds)) }

    static func tables(sizes: [Int], rounds: Int) throws -> [Table] {
        var results: [DomainChild.Kind: [DomainResult]] = [:]
        for kind in DomainChild.Kind.allCases {
            results[kind] = try sizes.map { size in
                try ChildProcess.result(["domain-child", kind.rawValue, String(size), String(rounds)])
            }
        }
        let alone = results[.alone] ?? []
        let pair = results[.pair] ?? []
        let peer = results[.dictionary] ?? []
        return [rates(sizes, alone, pair, peer), memory(sizes, alone, peer), pauses(sizes, alone)]
    }

    /// The bars: renewals a second of one core, what the largest list may cost against the smallest, and bytes.
    private static let renewalsPerSecond = 500_000.0
    private static let growth = 1.3
    private static let bytes = 600.0

    private static func columns(_ sizes: [Int]) -> [String] { sizes.map { Format.whole(Double($0)) } }

    private static func rates(
        _ sizes: [Int], _ alone: [DomainResult], _ pair: [DomainResult], _ peer: [DomainResult]
    ) -> Table {
        var table = Table(
            "Operations per second of CPU time (thousands), by registrations in the domain",
            columns: columns(sizes) + ["cost ratio"])
        func add(_ name: String, _ results: [DomainResult], _ what: KeyPath<DomainResult, Samples>, isBarred: Bool) {
            let samples = results.map { $0[keyPath: what] }
            let ratio = (samples.first?.median ?? .nan) / (samples.last?.median ?? .nan)
            var verdict = isBarred && sizes.count > 1 ? Format.verdict(ratio <= growth, "ratio <= \(growth)") : ""
            if what == \.renew, isBarred {
                let slowest = samples.map(\.median).min() ?? 0
                verdict = Format.verdict(slowest >= renewalsPerSecond, ">= 500 k/s") + ", " + verdict
            }
            let cells = samples.map { $0.text { Format.whole($0 / 1_000) } }
            table.add(name, cells + [Format.hundredths(ratio)], verdict: verdict)
        }
        add("fill an empty domain", alone, \.fill, isBarred: false)
        add("register", alone, \.register, isBarred: true)
        add("renew", alone, \.renew, isBarred: true)
        add("unregister", alone, \.unregister, isBarred: true)
        add("expire", alone, \.expire, isBarred: true)
        add("replay after failover", alone, \.replay, isBarred: true)
        add("with a standby: renew, owner", pair, \.renew, isBarred: true)
        add("with a standby: renew, standby", pair, \.renewAtStandby, isBarred: false)
        add("Dictionary: fill", peer, \.fill, isBarred: false)
        add("Dictionary: renew", peer, \.renew, isBarred: false)
        return table
    }

    private static func memory(_ sizes: [Int], _ alone: [DomainResult], _ peer: [DomainResult]) -> Table {
        var table = Table("Resident bytes per registration, whole process", columns: columns(sizes))
        func add(_ name: String, _ results: [DomainResult], _ what: KeyPath<DomainResult, Double>, isBarred: Bool) {
            let values = results.map { $0[keyPath: what] }
            let verdict = isBarred ? Format.verdict(values.last ?? .infinity <= bytes, "<= 600 B") : ""
            table.add(name, values.map(Format.whole), verdict: verdict)
        }
        add("packed contact alone", alone, \.payloadBytes, isBarred: false)
        add("owner, filled", alone, \.bytesFilled, isBarred: true)
        add("owner, after all rounds", alone, \.bytesInTheEnd, isBarred: true)
        add("Dictionary, filled", peer, \.bytesFilled, isBarred: false)
        add("Dictionary, after all rounds", peer, \.bytesInTheEnd, isBarred: false)
        table.notes.append("The ring of recent events holds up to 65,536 entries whatever the size of the domain.")
        return table
    }

    private static func pauses(_ sizes: [Int], _ alone: [DomainResult]) -> Table {
        var table = Table("Longest turn while an empty domain is filled, ms of CPU time", columns: columns(sizes))
        table.add("owner", alone.map { Format.tenths($0.longestTurn) })
        return table
    }
}

/// Measures one size in this process and prints the result as JSON.
struct DomainChild: ParsableCommand {
    enum Kind: String, CaseIterable, ExpressibleByArgument {
        case alone
        case pair
        case dictionary
    }

    static let configuration = CommandConfiguration(commandName: "domain-child", shouldDisplay: false)

    @Argument var kind: Kind
    @Argument var size: Int
    @Argument var rounds: Int

    func run() throws {
        endWithParent()
        let population = Population(count: size)
        let result =
            switch kind {
            case .alone: DomainMeasurement.run(population, withStandby: false, rounds: rounds)
            case .pair: DomainMeasurement.run(population, withStandby: true, rounds: rounds)
            case .dictionary: DictionaryPeer.run(population, rounds: rounds)
            }
        // NaN cannot be written as JSON, and nothing here is NaN: every rate has a time.
        print(String(decoding: try JSONEncoder().encode(result), as: UTF8.self))
    }
}
