import Testing

/// What the compiler does not check in Swift files.
@Suite struct SourceTests {
    static let maximumLineLength = 120
    static let maximumFileLength = 400

    /// Longer files, and why.
    private static let longFiles: [String: String] = [:]

    /// Files that vouch for the thread safety of something the compiler cannot see into, and why that holds.
    private static let uncheckedFiles: [String: String] = [
        "Sources/KafkaDestination/KafkaClient.swift": "librdkafka's handles are for any thread",
        "Sources/KafkaDestination/KafkaTopics.swift": "librdkafka's handles are for any thread",
        "Sources/rollcall/TerminationSignals.swift": "Dispatch does not mark its sources, which any thread may use",
    ]

    /// Shells that start a task of their own, and why nobody else can.
    private static let taskFiles: [String: String] = [
        "Sources/ClusterNode/RequestInlet.swift": "its turn, posted by callers that cannot wait",
        "Sources/ClusterRuntime/Requests/RequestRouter.swift": "its flush, and its clock while requests are under way",
        "Sources/Destinations/Lane.swift": "a task a batch under way, since a destination may take its time",
        "Sources/EmbeddedCoordinator/EmbeddedCoordinator.swift": "a store goes on although its caller is cancelled",
        "Sources/PluginDestinations/NanomsgDestination.swift": "its connections, from its making to its close",
        "Sources/SRActor/DomainActor.swift": "its turn, posted from any thread, and its wake",
        "Sources/SIPGateway/WatcherActor.swift": "its turn, posted from any thread",
        "Sources/WSSubscrActor/FollowerActor.swift": "its turn, posted from any thread",
        "Sources/WSSubscrActor/RegistrationActor.swift": "a task a request, and a time limit for the last",
        "Sources/Router/RouterNode.swift": "gives up the leadership although its own task is cancelled",
        "Sources/ClusterClients/WebSocketConnection.swift": "pings beside its reader, and cancels that with it",
        "Sources/WebSocketGateway/WebSocketServer.swift": "says goodbye although its own task is cancelled",
        "Sources/rollcall/UpCommand.swift": "announces the start, and stops nodes while more signals come",
        "Sources/NodeProcesses/ChildProcess.swift": "a time limit for a wait that cannot be cancelled",
    ]

    @Test func linesFitTheWidth() {
        var findings: [Finding] = []
        for file in Repository.swiftFiles {
            for line in file.lines where line.text.count > Self.maximumLineLength {
                findings.append(Finding(file.path, line.number, "\(line.text.count) characters"))
            }
        }
        expectNone(findings)
    }

    @Test func filesAreShort() {
        let findings = Repository.swiftFiles.filter {
            $0.lines.count > Self.maximumFileLength + 1 && Self.longFiles[$0.path] == nil
        }.map { Finding($0.path, $0.lines.count, "more than \(Self.maximumFileLength) lines") }
        expectNone(findings)
    }

    @Test func noFileIsEmpty() {
        let findings = Repository.swiftFiles.filter { file in
            file.lines.allSatisfy { $0.code.allSatisfy(\.isWhitespace) }
        }.map { Finding($0.path, 1, "holds nothing") }
        expectNone(findings)
    }

    @Test func everythingLeftToDoNamesItsIssue() {
        // Put together here, so that this file does not find itself.
        let marks = ["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]
        var findings: [Finding] = []
        for file in Repository.swiftFiles {
            for line in file.lines {
                guard let comment = line.comment, let mark = marks.first(where: comment.contains) else { continue }
                if comment.firstMatch(of: #/\(#\d+\)/#) == nil {
                    findings.append(Finding(file.path, line.number, "\(mark) without an issue, such as \(mark)(#12)"))
                }
            }
        }
        expectNone(findings)
    }

    @Test func noCodeIsCommentedOut() {
        var findings: [Finding] = []
        for file in Repository.swiftFiles {
            for line in file.lines where line.hasOnlyComment && !line.isDocumentation {
                if let comment = line.comment, Self.looksLikeCode(comment) {
                    findings.append(Finding(file.path, line.number, "looks like code:\(comment)"))
                }
            }
        }
        expectNone(findings)
    }

    @Test(
        arguments: [
            (" let x = 3", true), (" await node.run()", true), (" if isOwner {", true), (" }", true),
            (" return 4", true), (" total += 1", true), (" import Foundation", true),
            (" Cancelled: the loop sees it.", false), (" let it be, it is small.", false),
            (" return to the ring later", false), (" A call (see above).", false),
        ])
    func codeIsToldFromProse(_ comment: String, isCode: Bool) {
        #expect(Self.looksLikeCode(comment) == isCode)
    }

    private static func looksLikeCode(_ comment: String) -> Bool {
        let text = comment.drop(while: \.isWhitespace)
        guard let last = text.last, last != "." else { return false }
        if last == "{" || last == "}" || last == ";" { return true }
        return text.wholeMatch(of: #/(?:let|var) \w+(?:: [\w<>\[\]?.]+)? = .+/#) != nil
            || text.wholeMatch(of: #/(?:(?:try|await|return|_ =) )*[\w.]+\([^ ]*(?:, \w+: [^ ]+)*\)/#) != nil
            || text.wholeMatch(of: #/[\w.]+ (?:=|\+=|-=) [^ ]+/#) != nil
            || text.wholeMatch(of: #/(?:import|return) [\w.]+/#) != nil
    }

    @Test func everyDroppedErrorHasAReason() {
        var findings: [Finding] = []
        for file in Repository.sources {
            for (index, line) in file.lines.enumerated() where Self.dropsError(line.code) {
                if !Self.hasReason(file.lines, index) {
                    findings.append(Finding(file.path, line.number, "`try?` without a comment that says why"))
                }
            }
        }
        expectNone(findings)
    }

    /// Not `entry?.name`.
    private static func dropsError(_ code: String) -> Bool { code.contains(#/\btry\?/#) }

    /// A comment on the line, on one before it of the same statement, or right above the statement. Lines of `try?` one
    /// after the other, and the branches of one `if`, share a reason.
    private static func hasReason(_ lines: [SwiftFile.Line], _ index: Int) -> Bool {
        if lines[index].comment != nil { return true }
        guard index > 0 else { return false }
        let code = lines[index].code
        if let branch = code.firstMatch(of: #/^( *)\} else if /#) {
            let start = lines[..<index].lastIndex { $0.code.hasPrefix(branch.1 + "if ") }
            return start.map { hasReason(lines, $0) } ?? false
        }
        let before = lines[index - 1]
        if before.comment != nil { return true }
        let ending = before.code.last(where: { !$0.isWhitespace })
        let isSameStatement = ending.map { ",(=".contains($0) } ?? false
        return isSameStatement || dropsError(before.code) ? hasReason(lines, index - 1) : false
    }

    @Test func onlyListedFilesVouchForThreadSafety() {
        let vouching = #/@unchecked Sendable|nonisolated\(unsafe\)|@preconcurrency/#
        expectNone(misused(in: Self.uncheckedFiles) { $0.firstMatch(of: vouching) != nil })
    }

    @Test func onlyListedShellsStartTasks() {
        let starting = #/\bTask(?:<[^>]*>)? ?(?:\{|\(|\.detached)/#
        expectNone(misused(in: Self.taskFiles) { $0.firstMatch(of: starting) != nil })
    }

    /// What is written back to a mutex has gone through its generic form: a closure grows by two wrappers with every
    /// look, until calling it overflows the stack. One in a structure stays as it is.
    @Test func noMutexHoldsABareClosure() {
        let bare = #/\bMutex<[^<>]*->/#
        let findings = Repository.sources.flatMap { file in
            file.lines.filter { $0.code.firstMatch(of: bare) != nil }.map {
                Finding(file.path, $0.number, "a mutex of a closure; put it into a structure")
            }
        }
        expectNone(findings)
    }

    /// Uses outside the listed files, and listed files without a use.
    private func misused(in listed: [String: String], isUse: (String) -> Bool) -> [Finding] {
        var findings: [Finding] = []
        var unused = Set(listed.keys)
        for file in Repository.sources {
            for line in file.lines where isUse(line.code) {
                unused.remove(file.path)
                if listed[file.path] != nil { continue }
                let code = line.code.drop(while: \.isWhitespace)
                findings.append(Finding(file.path, line.number, "`\(code)`, and the file is not on the list"))
            }
        }
        return findings + unused.sorted().map { Finding($0, 1, "is on the list without need") }
    }
}
