import ArgumentParser
import ClusterRuntime
import Foundation

/// The command line of Rollcall: every verb is a file of this target.
@main
struct Rollcall: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollcall",
        abstract: "A registrar cluster: who is registered where, in order and without gaps.",
        discussion: """
            A topology file describes the cluster. Start it, look at it, follow it:

              rollcall up topology/local.yaml
              rollcall status topology/local.yaml
              rollcall tail topology/local.yaml --domain demo.example --snapshot

            No file at hand? `rollcall dev` runs a small cluster in one process.

            With --json a verb prints one JSON document on stdout (one a line where it streams); logs go to stderr. \
            Exit codes: 0 done, 1 the answer is no, 2 bad usage or a bad file, 3 the cluster could not be reached.
            """,
        version: Version.current,
        groupedSubcommands: [
            CommandGroup(name: "Run", subcommands: [UpCommand.self, NodeCommand.self, DevCommand.self]),
            CommandGroup(
                name: "Look",
                subcommands: [
                    StatusCommand.self, ExplainCommand.self, TailCommand.self, ContactsCommand.self,
                    VerifyCommand.self, DestinationsCommand.self, BansCommand.self,
                ]),
            CommandGroup(
                name: "Change",
                subcommands: [
                    ApplyCommand.self, DrainCommand.self, UndrainCommand.self, MoveCommand.self, RestartCommand.self,
                ]),
            CommandGroup(
                name: "Set up", subcommands: [CheckCommand.self, AccountCommand.self, TokenCommand.self]),
            CommandGroup(
                name: "Prove",
                subcommands: [
                    DrillCommand.self, DrillsCommand.self, SoakCommand.self, SimCommand.self, ConformanceCommand.self,
                ]),
        ])

    static func main() async {
        do {
            var command = try await asyncParseAsRoot(nil)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            end(with: error)
        }
    }

    /// Prints what went wrong and exits by the codes of this command line.
    private static func end(with error: any Error) -> Never {
        if let failure = CommandFailure(error) {
            if !failure.message.isEmpty { Console.error(failure.message) }
            Foundation.exit(failure.code.rawValue)
        }
        guard exitCode(for: error) == .validationFailure else { exit(withError: error) }
        // The parser's own code for bad usage is another one (64, sysexits.h).
        Console.error(fullMessage(for: error))
        Foundation.exit(CommandFailure.Code.badInput.rawValue)
    }
}
