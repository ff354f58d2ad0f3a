import Digests
import Foundation
import RegistrarEvents
import SQLiteAccounts
import Testing

@testable import ClusterRuntime

@Suite struct DirectoryImportTests {
    private func importing(_ text: String, into directory: any AccountDirectory) async throws -> Int {
        try await TopologyFixture.withDirectory { folder in
            let path = folder + "/accounts.csv"
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            return try directory.importCSV(path: path)
        }
    }

    @Test func aFileOfAccountsIsImported() async throws {
        let directory = InMemoryDirectory()
        let text =
            "domain,kind,name,password\r\ndemo.example,user,amy,\"a,\"\"b\"\r\nDEMO.example,sipuser,2001, p \r\n\r\n"
        #expect(try await importing(text, into: directory) == 2)
        let demo = try #require(DomainName("demo.example"))
        #expect(await directory.verify(demo, AccountID(.user, "amy"), password: "a,\"b") == .accepted)
        #expect(await directory.verify(demo, AccountID(.sipuser, "2001"), password: " p ") == .accepted)
    }

    @Test func everyBadLineIsToldAndNothingIsImported() async throws {
        let directory = InMemoryDirectory()
        let text = """
            domain,kind,name,password
            demo.example,user,amy,p
            demo.example,robot,bob,p
            demo.example,user,carl
            -bad-,user,dan,p
            demo.example,user,amy,q
            demo.example,user,"eve,p
            demo.example,user,f g,p
            demo.example,user,gil,
            """
        let error = await #expect(throws: DirectoryError.self) { try await importing(text, into: directory) }
        guard case .problems(let problems) = error else {
            Issue.record("told: \(String(describing: error))")
            return
        }
        #expect(problems.map(\.line) == [3, 4, 5, 6, 7, 8, 9])
        #expect(directory.list(nil).isEmpty)
    }

    @Test func accountsThatAreThereAlreadyAreToldByLine() async throws {
        let directory = InMemoryDirectory()
        let demo = try #require(DomainName("demo.example"))
        try directory.add(demo, AccountID(.user, "amy"), password: "p")
        let text = "domain,kind,name,password\ndemo.example,user,bob,p\ndemo.example,user,amy,p\n"
        let error = await #expect(throws: DirectoryError.self) { try await importing(text, into: directory) }
        guard case .problems(let problems) = error else {
            Issue.record("told: \(String(describing: error))")
            return
        }
        #expect(problems.map(\.line) == [3])
        #expect(directory.list(nil).count == 1)
    }

    @Test(arguments: ["", "name,password\n", "demo.example,user,amy,p\n"])
    func aFileWithoutTheHeaderIsRefused(_ text: String) async {
        await #expect(throws: DirectoryError.self) { try await importing(text, into: InMemoryDirectory()) }
    }

    @Test func aDatabaseTakesAllOrNothingInPieces() async throws {
        try await TopologyFixture.withDirectory { folder in
            let directory = try SQLiteDirectory(path: folder + "/accounts.db", create: true)
            let demo = try #require(DomainName("demo.example"))
            // More than two batches, the wrong ones in different batches.
            let count = 2 * AccountImport.batchSize + 10
            var lines = (1...count).map { "demo.example,sipuser,\($0),p\($0)" }
            let good = (["domain,kind,name,password"] + lines).joined(separator: "\n")
            lines[7] = "demo.example,sipuser,7,again"
            lines[AccountImport.batchSize + 3] = "demo.example,sipuser,9,again"
            lines[count - 1] = "demo.example,sipuser,,p"
            let bad = (["domain,kind,name,password"] + lines).joined(separator: "\r\n")
            let error = await #expect(throws: DirectoryError.self) { try await importing(bad, into: directory) }
            guard case .problems(let problems) = error else {
                Issue.record("told: \(String(describing: error))")
                return
            }
            #expect(problems.map(\.line) == [9, AccountImport.batchSize + 5, count + 1])
            #expect(directory.list(nil).isEmpty)

            #expect(try await importing(good, into: directory) == count)
            #expect(directory.list(nil).count == count)
            let expected = DigestAlgorithm.sha512_256.hex { $0.append("\(count):demo.example:p\(count)") }
            #expect(directory.digest(demo, "\(count)", .sha512_256) == .found(expected))
        }
    }

    @Test func manyMistakesAreCountedAndNotAllShown() async throws {
        let lines = (1...500).map { "demo.example,robot,\($0),p" }
        let text = (["domain,kind,name,password"] + lines).joined(separator: "\n")
        let error = await #expect(throws: DirectoryError.self) {
            try await importing(text, into: InMemoryDirectory())
        }
        guard case .problems(let problems) = error else {
            Issue.record("told: \(String(describing: error))")
            return
        }
        #expect(problems.count == 201)
        #expect(problems.last?.wrong == "300 more problems are not shown")
    }

    @Test func progressGrowsToTheWholeFile() async throws {
        try await TopologyFixture.withDirectory { folder in
            let path = folder + "/accounts.csv"
            let lines = (1...9000).map { "demo.example,sipuser,\($0),p" }
            try (["domain,kind,name,password"] + lines).joined(separator: "\n")
                .write(toFile: path, atomically: true, encoding: .utf8)
            var told: [AccountImportProgress] = []
            try withoutActuallyEscaping({ told.append($0) }) { note in
                _ = try InMemoryDirectory().importCSV(path: path, progress: note)
            }
            #expect(told.map(\.accounts) == [4096, 8192, 9000, 9000])
            #expect(told.map(\.share) == told.map(\.share).sorted() && told.last?.share == 1)
        }
    }
}
