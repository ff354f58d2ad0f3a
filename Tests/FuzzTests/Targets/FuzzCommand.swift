import Dispatch
import Foundation
import Synchronization

/// The program `Fuzz`, but for libFuzzer itself: here it is compiled wherever the targets are.
package enum FuzzCommand {
    /// As libFuzzer declares the entry for programs with a `main` of their own.
    package typealias Driver = (
        UnsafeMutablePointer<CInt>, UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
        @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
    ) -> CInt

    private static let usage = """
        usage: Fuzz list                          the targets, one a line
               Fuzz begin TARGET DIRECTORY        writes the inputs that a target begins with into a directory
               Fuzz keep TARGET DIRECTORY         makes a directory's inputs the target's corpus
               Fuzz run TARGET [libFuzzer's own]  runs libFuzzer
        """

    /// The one that is run; libFuzzer's callback takes no context.
    private static let running = Mutex<FuzzTarget?>(nil)

    package static func main(_ driver: Driver) throws -> Never {
        let words = Array(CommandLine.arguments.dropFirst())
        if words == ["list"] {
            for target in FuzzTarget.all { print(target.name) }
            exit(0)
        }
        guard words.count > 1, let target = FuzzTarget.all.first(where: { $0.name == words[1] }) else { fail() }
        switch words[0] {
        case "begin" where words.count == 3: try begin(target, in: words[2])
        case "keep" where words.count == 3: try Corpus.keep(try inputs(in: words[2]), of: target)
        case "run": exit(run(target, words.dropFirst(2), driver))
        default: fail()
        }
        exit(0)
    }

    private static func begin(_ target: FuzzTarget, in directory: String) throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        for (number, input) in try Corpus.beginning(of: target).enumerated() {
            try Data(input).write(to: URL(fileURLWithPath: "\(directory)/begin-\(number)"))
        }
        let dictionary = target.words.map { word in
            "\"" + word.utf8.map { String(format: "\\x%02x", Int($0)) }.joined() + "\"\n"
        }
        try Data(dictionary.joined().utf8).write(to: URL(fileURLWithPath: "\(directory).words"))
    }

    /// The files of a directory.
    private static func inputs(in directory: String) throws -> [[UInt8]] {
        try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
            .map { [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(directory)/\($0)"))) }
    }

    private static func run(_ target: FuzzTarget, _ options: ArraySlice<String>, _ driver: Driver) -> CInt {
        running.withLock { $0 = target }
        let arguments = [CommandLine.arguments[0], "-max_len=\(target.maximumLength)"] + options
        var count = CInt(arguments.count)
        var pointers = arguments.map { UnsafeMutablePointer<CChar>?(strdup($0)) } + [nil]
        let code = pointers.withUnsafeMutableBufferPointer { buffer -> CInt in
            guard var start = buffer.baseAddress else { return 2 }
            return driver(&count, &start, tryInput)
        }
        ScratchFile.removeAll()
        return code
    }

    /// What libFuzzer calls for each input. A broken promise ends the run as a trap does.
    private static let tryInput: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt = { start, count in
        let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
        let done = DispatchSemaphore(value: 0)
        Task {
            guard let target = running.withLock({ $0 }) else { fatalError("no target runs") }
            do { try await target.run(input) } catch { fatalError("\(target.name): \(error)") }
            done.signal()
        }
        done.wait()
        return 0
    }

    private static func fail() -> Never {
        FileHandle.standardError.write(Data("\(usage)\n".utf8))
        exit(2)
    }
}
