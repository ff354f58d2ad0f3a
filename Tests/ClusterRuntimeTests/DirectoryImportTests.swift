import Foundation
import RegistrarEvents
import Testing

@testable import ClusterRuntime

@Suite struct DirectoryImportTests {
    private func importing(_ text: String, into directory: InMemoryDirectory) async throws -> Int {
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
}
