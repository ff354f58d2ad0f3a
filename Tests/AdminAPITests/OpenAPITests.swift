import AccessTokens
import AdminAPI
import ClusterRuntime
import Foundation
import Logging
import RegistrarEvents
import Testing
import Yams

/// `docs/openapi.yaml` says what the code does, all of it and no more.
@Suite struct OpenAPITests {
    private typealias Object = [String: Any]

    private let document: Object

    init() throws {
        let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")
        let text = try String(contentsOf: repository.appendingPathComponent("docs/openapi.yaml"), encoding: .utf8)
        document = try #require(try Yams.load(yaml: text) as? Object)
    }

    private func paths() throws -> [String: Object] { try #require(document["paths"] as? [String: Object]) }

    private static let methods: Set<String> = ["get", "put", "post", "delete", "patch"]

    @Test func everyRouteIsThereAndNoOther() async throws {
        let tokens = await AccessTokens(clusterSecret: [])
        let service = AdminService(
            backend: AdminBackend(
                node: AdminFixture.node, role: .router, isOpen: true, tokens: tokens, registrar: FakeRegistrar(),
                domains: { [] }, assignment: { _ in nil }, problems: { [] }, metrics: { "" },
                status: { .elsewhere(nil) }, accounts: { InMemoryDirectory() }),
            host: "127.0.0.1", port: 0, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let served = service.routes.map { $0.replacing(#/:(\w+)/#) { "{\($0.1)}" } }
        let described = try paths().flatMap { path, item in
            item.keys.filter(Self.methods.contains).map { "\($0.uppercased()) \(path)" }
        }
        #expect(served.count > 20)
        #expect(served.sorted() == described.sorted())
    }

    @Test func everyParameterOfAPathIsDescribed() throws {
        let shared = try #require((document["components"] as? Object)?["parameters"] as? [String: Object])
        func names(_ parameters: Any?) -> [String] {
            (parameters as? [Object] ?? []).compactMap { parameter in
                let reference = (parameter["$ref"] as? String)?.split(separator: "/").last
                let described = reference.flatMap { shared[String($0)] } ?? parameter
                return described["in"] as? String == "path" ? described["name"] as? String : nil
            }
        }
        for (path, item) in try paths() {
            let expected = path.matches(of: #/\{(\w+)\}/#).map { String($0.1) }
            for (method, operation) in item where Self.methods.contains(method) {
                let described = names(item["parameters"]) + names((operation as? Object)?["parameters"])
                #expect(described.sorted() == expected.sorted(), "\(method) \(path)")
            }
        }
    }
}
