import ClusterRuntime
import RegistrarEvents
import Testing

/// The section `jwt`.
@Suite struct TopologyTokenTests {
    private static func topology(_ jwt: String) throws -> Topology {
        let indented = jwt.split(separator: "\n").map { "  \($0)" }.joined(separator: "\n")
        return try Topology.parse("\(TopologyFixture.text)\njwt:\n\(indented)\n", path: "/t/t.yaml")
    }

    @Test func everythingOfTheSectionIsRead() throws {
        let tokens = try Self.topology(
            """
            keys:
              - { kid: sso, alg: ES256, public_key: { file: sso.pem }, issuer: "https://sso", audience: rollcall }
              - { alg: HS256, secret: { file: /k/shared }, domains: [a.example, B.example], scopes: [service, admin] }
            jwks:
              - { file: jwks.json, scopes: [user] }
            roles:
              viewer: { classes: [registrarevents], capabilities: [subscr, read] }
              everything: {}
            """
        ).tokens
        #expect(tokens.keys.map(\.trust.issuer) == ["https://sso", nil])
        #expect(tokens.keys.map(\.trust.audience) == ["rollcall", nil])
        #expect(tokens.keys[0].trust.scopes == [.user, .service] && tokens.keys[0].trust.domains == nil)
        #expect(tokens.keys[1].trust.domains?.map(\.rawValue) == ["a.example", "b.example"])
        #expect(tokens.keys[1].trust.scopes == [.service, .admin])
        #expect(tokens.keySets == [.init(path: "/t/jwks.json", trust: IssuerTrust(scopes: [.user]))])
        #expect(
            tokens.roles == [
                "viewer": TokenRole(classes: [.registrarEvents], capabilities: [.subscribe, .read]),
                "everything": TokenRole(
                    classes: [.registrarEvents, .modelEvents], capabilities: [.subscribe, .read, .write]),
            ])
    }

    @Test(arguments: [
        ("keys: [ { alg: HS256 } ]", "secret is missing; expected { file: PATH }"),
        ("keys: [ { alg: HS512, secret: { file: k } } ]", "expected one of HS256, ES256, EdDSA, RS256"),
        ("jwks: [ { file: k, path: k.json } ]", "unknown key `jwt.jwks[1].path`"),
        ("jwks: [ { issuer: a } ]", "file is missing; expected the path of a JWKS file"),
        ("jwks: [ { file: k, domains: [] } ]", "no domain; expected at least one, or the key to be left out"),
        ("jwks: [ { file: k, domains: [a..b] } ]", "found `a..b`; expected a domain name such as demo.example"),
        ("jwks: [ { file: k, scopes: [] } ]", "an empty list; expected some of user, service, admin"),
        ("jwks: [ { file: k, scopes: [root] } ]", "expected one of user, service, admin"),
        ("jwks: [ { file: k, scopes: [user, user] } ]", "one twice; expected each once"),
        ("roles: { r: { classes: [registrarevent] } }", "did you mean registrarevents?"),
        ("roles: { r: { capabilities: [all] } }", "expected one of subscr, read, write"),
        ("roles: [viewer]", "expected a mapping of names to { classes: […], capabilities: […] }"),
        ("role: {}", "unknown key `jwt.role`; expected `roles`"),
    ])
    func whatIsWrongIsNamed(jwt: String, wrong: String) throws {
        let problems = TopologyFixture.problems(in: "\(TopologyFixture.text)\njwt: { \(jwt) }\n")
        #expect(problems.count == 1 && problems[0].contains(wrong), "\(problems)")
    }
}
