import Dispatch
import Foundation
import FuzzTargets

/// libFuzzer's entry for programs that have a `main` of their own, as the package manager gives them.
@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ fuzz: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// What libFuzzer calls for each input. A broken promise ends the run as a trap does.
func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
    let done = DispatchSemaphore(value: 0)
    Task {
        do { try await target.run(input) } catch { fatalError("\(target.name): \(error)") }
        done.signal()
    }
    done.wait()
    return 0
}

func fail(_ text: String) -> Never {
    FileHandle.standardError.write(Data("\(text)\n".utf8))
    exit(2)
}

/// The files of a directory, as inputs.
func inputs(in directory: String) throws -> [[UInt8]] {
    try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
        .map { [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(directory)/\($0)"))) }
}

let usage = """
    usage: Fuzz list                          the targets, one a line
           Fuzz begin TARGET DIRECTORY        writes the inputs that a target begins with into a directory
           Fuzz keep TARGET DIRECTORY         makes a directory's inputs the target's corpus
           Fuzz run TARGET [libFuzzer's own]  runs libFuzzer
    """
let words = Array(CommandLine.arguments.dropFirst())
if words == ["list"] {
    for target in FuzzTarget.all { print(target.name) }
    exit(0)
}
guard words.count > 1, let named = FuzzTarget.all.first(where: { $0.name == words[1] }) else { fail(usage) }
let target = named

switch words[0] {
case "begin" where words.count == 3:
    try FileManager.default.createDirectory(atPath: words[2], withIntermediateDirectories: true)
    for (number, input) in try Corpus.beginning(of: target).enumerated() {
        try Data(input).write(to: URL(fileURLWithPath: "\(words[2])/begin-\(number)"))
    }
    let dictionary = target.words.map { word in
        "\"" + word.utf8.map { String(format: "\\x%02x", Int($0)) }.joined() + "\"\n"
    }
    try Data(dictionary.joined().utf8).write(to: URL(fileURLWithPath: "\(words[2]).words"))
case "keep" where words.count == 3:
    try Corpus.keep(try inputs(in: words[2]), of: target)
case "run":
    var arguments = [CommandLine.arguments[0], "-max_len=\(target.maximumLength)"] + words.dropFirst(2)
    var count = CInt(arguments.count)
    var pointers = arguments.map { UnsafeMutablePointer<CChar>?(strdup($0)) } + [nil]
    let code = pointers.withUnsafeMutableBufferPointer { buffer -> CInt in
        guard var start = buffer.baseAddress else { return 2 }
        return runFuzzer(&count, &start, fuzz)
    }
    ScratchFile.removeAll()
    exit(code)
default: fail(usage)
}
