import Testing

/// The reader that the other suites rest on: what it misreads, they miss.
@Suite struct SwiftFileTests {
    @Test func commentsAreToldFromCodeAndStrings() {
        let file = SwiftFile(
            path: "Sources/Some/File.swift",
            text: #"""
                let url = "http://example" // why
                let nested = "a \(name("// no")) b" + call(1)
                /* let hidden = 1 */ let shown = 2
                /// Documented.
                let raw = #"quote " and // more"#
                """#)
        #expect(file.lines.map(\.comment) == [" why", nil, nil, "/ Documented.", nil])
        #expect(file.lines[0].code == "let url = \"\" ")
        #expect(file.lines[1].code == "let nested = \"\"name(\"\") + call(1)")
        #expect(file.lines[2].code == " let shown = 2")
        #expect(file.lines[3].isDocumentation && file.lines[3].hasOnlyComment)
        #expect(file.lines[4].code == "let raw = \"\"")
    }

    @Test func multilineTextIsNoCode() {
        let file = SwiftFile(
            path: "Sources/Some/File.swift",
            text: "let text = \"\"\"\n    Task { try? this } // text\n    \"\"\"\nlet x = 1")
        #expect(file.lines.map(\.comment) == [nil, nil, nil, nil])
        #expect(!file.lines[1].code.contains("Task"))
        #expect(file.lines[3].code == "let x = 1")
    }

    @Test func importsAreReadInEveryForm() {
        let file = SwiftFile(
            path: "Sources/Router/File.swift",
            text: """
                import A
                public import B
                @testable import C
                    import D
                import struct E.F
                // import G
                let importG = 1
                """)
        #expect(file.imports.map(\.module) == ["A", "B", "C", "D", "E"])
        #expect(file.imports.map(\.line) == [1, 2, 3, 4, 5])
        #expect(file.target == "Router")
    }

    @Test func theRepositoryIsFound() {
        #expect(Repository.has("Package.swift") && Repository.sources.count > 50)
        #expect(Repository.files.contains(".ci/run") && !Repository.files.contains { $0.hasPrefix(".build") })
    }
}
