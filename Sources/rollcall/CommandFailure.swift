import AccessTokens
import ArgumentParser
import ClusterClients
import ClusterRuntime
import Drills
import Foundation

/// How a verb ends when it does not end well: what to say, and the exit code.
struct CommandFailure: Error, Hashable {
    enum Code: Int32 {
        /// The answer is no: violated, unhealthy, different.
        case no = 1
        case badInput = 2
        case unreachable = 3
    }

    let code: Code
    /// What went wrong and what to do next; empty when all was said already.
    let message: String

    static func no(_ message: String = "") -> CommandFailure { CommandFailure(code: .no, message: message) }
    static func badInput(_ message: String) -> CommandFailure { CommandFailure(code: .badInput, message: message) }
    static func unreachable(_ message: String) -> CommandFailure {
        CommandFailure(code: .unreachable, message: message)
    }

    /// The same with something more to say.
    func adding(_ remark: String?) -> CommandFailure {
        guard let remark else { return self }
        return CommandFailure(code: code, message: message.isEmpty ? remark : "\(message)\n\(remark)")
    }

    private init(code: Code, message: String) {
        self.code = code
        self.message = message
    }

    /// The failure that an error of the libraries amounts to; nil for the argument parser's own.
    init?(_ error: any Error) {
        switch error {
        case let failure as CommandFailure: self = failure
        case let error as TopologyError: self = .badInput(error.description)
        case let error as DrillFileError: self = .badInput(error.description)
        case let error as DirectoryError:
            switch error {
            case .problems, .file, .invalid: self = .badInput(error.description)
            case .exists, .unknown: self = .no(error.description)
            }
        case let error as ClusterSecretError: self = .badInput(error.description)
        case let error as AccessTokenError: self = .badInput(error.description)
        case let error as TokenKeyError: self = .badInput(error.description)
        case let error as ClusterClient.Failure: self = .unreachable(error.description)
        case let error as DrillFailure:
            switch error {
            case .badFile, .running: self = .badInput(error.description)
            case .unreachable, .noNetwork: self = .unreachable(error.description)
            }
        case is ValidationError, is ExitCode, is CleanExit: return nil
        default:
            // The parser wraps its own errors in types that are not public, and knows them by their exit codes.
            guard Rollcall.exitCode(for: error) == .failure else { return nil }
            self = .unreachable("\(error)")
        }
    }
}
