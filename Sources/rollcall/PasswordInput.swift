import Foundation

/// Reads a password: from a pipe, or from the terminal without showing it.
enum PasswordInput {
    /// - Parameter prompting: whether to ask for it, twice; otherwise the first line of stdin is taken.
    /// - Throws: `CommandFailure.badInput` when there is none, or the two differ.
    static func read(prompting: Bool) throws -> String {
        guard prompting else {
            guard let line = readLine(strippingNewline: true), !line.isEmpty else {
                throw CommandFailure.badInput("stdin has no password; expected one on its first line")
            }
            return line
        }
        guard isatty(STDIN_FILENO) == 1 else {
            throw CommandFailure.badInput(
                "there is no terminal to ask for the password at; expected --password or --password-stdin")
        }
        let first = try ask("Password: ")
        guard try ask("Again: ") == first else { throw CommandFailure.badInput("the two passwords differ") }
        return first
    }

    private static func ask(_ prompt: String) throws -> String {
        var saved = termios()
        tcgetattr(STDIN_FILENO, &saved)
        var silent = saved
        silent.c_lflag &= ~tcflag_t(ECHO)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent)
        defer {
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved)
            FileHandle.standardError.write(Data("\n".utf8))
        }
        FileHandle.standardError.write(Data(prompt.utf8))
        guard let line = readLine(strippingNewline: true), !line.isEmpty else {
            throw CommandFailure.badInput("no password was given")
        }
        return line
    }
}
