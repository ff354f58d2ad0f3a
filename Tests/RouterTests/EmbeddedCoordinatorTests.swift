import ClusterRuntime
import Foundation
import RegistrarEvents
import Testing

@testable import EmbeddedCoordinator

@Suite struct EmbeddedCoordinatorTests {
    private let directory = TemporaryDirectory()
    private let router1 = life("router1")

    private func open(boot: String = "boot", at time: Int64 = 0) throws -> EmbeddedCoordinator {
        try EmbeddedCoordinator(path: directory.database, boot: boot) { at(time).monotonic }
    }

    private func lead(_ coordinator: EmbeddedCoordinator) async throws -> Campaign {
        try await coordinator.campaign(as: router1, lease: .seconds(2))
    }

    private func change(_ index: Int) -> AssignmentChange {
        AssignmentChange(
            assignment: assignment(
                "d\(index).example", owner: router1, standbys: Array(repeating: standby(router1), count: 20)),
            expected: 0)
    }

    /// The failure of an operation that must fail.
    private func failure<Answer>(
        _ body: () async throws(CoordinatorError) -> Answer
    ) async -> CoordinatorError? {
        do {
            _ = try await body()
            return nil
        } catch {
            return error
        }
    }

    private func failureToOpen() async -> CoordinatorError? {
        await failure { () async throws(CoordinatorError) in try EmbeddedCoordinator(path: directory.database) }
    }

    @Test func everythingOutlivesTheProcess() async throws {
        do {
            let coordinator = try open()
            #expect(try await lead(coordinator) == .leading(term: 1))
            _ = try await coordinator.store([change(1)], term: 1)
        }
        let coordinator = try open(at: 5000)
        #expect(try await coordinator.load().revision == 1)
        #expect(try await lead(coordinator) == .leading(term: 2))
    }

    @Test func aRebootEndsEveryLease() async throws {
        #expect(try await lead(try open(at: 100_000)) == .leading(term: 1))
        let rebooted = try open(boot: "next boot", at: 0)
        #expect(try await rebooted.campaign(as: life("router2"), lease: .seconds(2)) == .leading(term: 2))
    }

    @Test func theMachinesOwnClockAndBootAreUsedByDefault() async throws {
        let coordinator = try EmbeddedCoordinator(path: directory.database)
        #expect(try await lead(coordinator) == .leading(term: 1))
        #expect(try await lead(coordinator) == .leading(term: 1))
    }

    @Test func routersThatMakeTheFileAtOnceAllOpenIt() async throws {
        let path = directory.database
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 { group.addTask { _ = try EmbeddedCoordinator(path: path) } }
            try await group.waitForAll()
        }
    }

    @Test func aDamagedFileIsNamed() async throws {
        do { _ = try await lead(try open()) }
        try Data(repeating: 0x55, count: 8192).write(to: URL(filePath: directory.database))
        let error = await failureToOpen()
        guard case .damaged(let what) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(what.contains(directory.database))
    }

    @Test func anotherProgramsDatabaseIsLeftAlone() async throws {
        try runSQLite("CREATE TABLE contacts (name TEXT);")
        let error = await failureToOpen()
        #expect(error?.description.contains("another program's database") == true)
    }

    @Test func aLaterSchemaIsNotTouched() async throws {
        do { _ = try open() }
        try runSQLite("PRAGMA user_version = 2;")
        let error = await failureToOpen()
        #expect(error?.description.contains("schema version is 2") == true)
    }

    @Test func aDirectoryThatCannotBeMadeIsAnError() async throws {
        let error = await failure { () async throws(CoordinatorError) in
            try EmbeddedCoordinator(path: "/proc/none/router.db")
        }
        #expect(error != nil)
    }

    @Test func aFileThatIsReplacedWhileInUseStopsTheRouter() async throws {
        let coordinator = try open()
        _ = try await lead(coordinator)
        try FileManager.default.removeItem(atPath: directory.database)
        _ = try open()
        let error = await failure { () async throws(CoordinatorError) in
            try await coordinator.campaign(as: router1, lease: .seconds(2))
        }
        guard case .damaged = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func aFullDiskIsAnErrorAndPassesWhenThereIsRoomAgain() async throws {
        let coordinator = try open()
        _ = try await lead(coordinator)
        try coordinator.limitPages(to: 8)
        let changes = (0..<200).map(change)
        let error = await failure { () async throws(CoordinatorError) in
            try await coordinator.store(changes, term: 1)
        }
        guard case .unavailable(let what) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(what.contains("full"))
        #expect(try await coordinator.load().assignments == [])
        try coordinator.limitPages(to: 100_000)
        guard case .stored = try await coordinator.store(changes, term: 1) else {
            Issue.record("not stored")
            return
        }
    }

    /// As a router that is stopped amid a store does, whose locks stay.
    @Test func whoeverOnlyReadsDoesNotWaitForTheWriteLock() async throws {
        let coordinator = try open()
        _ = try await lead(coordinator)
        _ = try await coordinator.store([change(1)], term: 1)
        let (holder, input) = (Process(), Pipe())
        holder.executableURL = URL(filePath: "/usr/bin/env")
        holder.arguments = ["sqlite3", directory.database]
        holder.standardInput = input
        try holder.run()
        // It may have inherited that SIGTERM is ignored.
        defer { kill(holder.processIdentifier, SIGKILL) }
        let sign = directory.path + "/held"
        input.fileHandleForWriting.write(Data("BEGIN IMMEDIATE;\n.shell touch \(sign)\n".utf8))
        for _ in 0..<1_000 where !FileManager.default.fileExists(atPath: sign) {
            try await Task.sleep(for: .milliseconds(20))
        }
        try #require(FileManager.default.fileExists(atPath: sign))
        let standby = try await coordinator.campaign(as: life("router2"), lease: .seconds(2))
        #expect(standby == .standby(leader: router1))
        #expect(try await coordinator.load().assignments.map(\.domain) == [domain("d1.example")])
        let error = await failure { () async throws(CoordinatorError) in
            try await coordinator.campaign(as: router1, lease: .seconds(2))
        }
        guard case .unavailable = error else {
            Issue.record("the lock was not held: \(String(describing: error))")
            return
        }
    }

    @Test func anOperatorCanReadTheAssignments() async throws {
        let coordinator = try open()
        _ = try await lead(coordinator)
        _ = try await coordinator.store(
            [AssignmentChange(assignment: assignment(owner: router1, standbys: [standby(life("sr2"))]), expected: 0)],
            term: 1)
        let text = try runSQLite("SELECT domain, epoch, owner, standbys, cause FROM assignments;")
        #expect(text == #"d.example|1|router1|[{"in_sync":true,"incarnation":1,"name":"sr2"}]|restart"# + "\n")
    }

    @Test func aFileFromBeforeThereWereWishesIsTakenOver() async throws {
        _ = try open()
        try runSQLite("DROP TABLE wishes;")
        let coordinator = try open()
        #expect(try await coordinator.load().wishes.isEmpty)
    }

    @Test func wishesThatCannotBeReadAreToldAsDamage() async throws {
        let coordinator = try open()
        try runSQLite("INSERT INTO wishes VALUES (1, 'sr1');")
        await #expect(throws: CoordinatorError.self) { try await coordinator.load() }
    }

    @Test func aCancelledCallerStillLearnsWhatBecameOfItsStore() async throws {
        let coordinator = try open()
        _ = try await lead(coordinator)
        let task = Task { [changes = [change(1)]] in
            while !Task.isCancelled { await Task.yield() }
            return try await coordinator.store(changes, term: 1)
        }
        task.cancel()
        #expect(try await task.value == .stored(try await coordinator.load().assignments))
    }

    /// Runs statements through another process, as an operator would.
    @discardableResult
    private func runSQLite(_ sql: String) throws -> String {
        try FileManager.default.createDirectory(
            atPath: directory.path + "/var", withIntermediateDirectories: true)
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["sqlite3", directory.database, sql]
        process.standardOutput = output
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        return String(decoding: data, as: UTF8.self)
    }
}
