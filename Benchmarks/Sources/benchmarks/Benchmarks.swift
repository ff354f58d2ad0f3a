import ArgumentParser

/// Measures what the registrar is made of, each beside something that does the same work with less.
@main
struct Benchmarks: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "benchmarks",
        abstract: "Measures the registrar's parts, each beside a peer or a limit in the same run.",
        subcommands: [
            DomainCommand.self, CodecCommand.self, TransportCommand.self, ReplayCommand.self, EndToEndCommand.self,
            AllCommand.self,
            DomainChild.self, TransportPeer.self, ReplayFollower.self,
        ],
        defaultSubcommand: AllCommand.self)
}

struct AllCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "all", abstract: "Runs all of them.")

    @OptionGroup var output: OutputOptions

    func run() throws {
        output.show(try DomainCommand.tables(sizes: DomainCommand.defaultSizes, rounds: 5))
        output.show(try CodecCommand.tables(rounds: 9))
        output.show(try TransportCommand.tables(messages: 400_000, rounds: 5))
        output.show(try ReplayCommand.tables(sizes: ReplayCommand.defaultSizes, rounds: 3))
    }
}

/// How results are printed.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print each table as one line of JSON.")
    var json = false

    func show(_ tables: [Table]) {
        for table in tables { print(json ? table.json : table.text) }
    }
}
