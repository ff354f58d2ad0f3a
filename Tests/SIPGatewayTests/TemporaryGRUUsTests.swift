import RegistrarEvents
import Testing

@testable import SIPGateway

@Suite struct TemporaryGRUUsTests {
    private let gruus = TemporaryGRUUs(key: Array(repeating: 7, count: 32))
    private let domain = DomainName("demo.example")!

    @Test func everyGatewayOfTheClusterOpensATokenAndNobodyElse() throws {
        let token = token()
        let same = TemporaryGRUUs(key: Array(repeating: 7, count: 32))
        #expect(try #require(same.target(of: token, in: domain)).account == "1001")
        #expect(gruus.target(of: token, in: DomainName("other.example")!) == nil)
        #expect(TemporaryGRUUs(key: Array(repeating: 8, count: 32)).target(of: token, in: domain) == nil)
        #expect(TemporaryGRUUs(key: nil).target(of: token, in: domain) == nil)
    }

    @Test func noTwoTokensAreAlike() {
        #expect(Set((0..<100).map { _ in token() }).count == 100)
    }

    @Test func aTokenThatWasTouchedOrCutIsNone() {
        let token = token()
        for index in token.indices.dropFirst(TemporaryGRUUs.prefix.count)
        where token.index(after: index) != token.endIndex {
            var touched = token
            touched.replaceSubrange(index...index, with: token[index] == "A" ? "B" : "A")
            #expect(gruus.target(of: touched, in: domain) == nil, "\(touched)")
            #expect(gruus.target(of: String(token[..<index]), in: domain) == nil)
        }
    }

    @Test func theLongestAccountHasTheLongestToken() throws {
        let account = String(repeating: "a", count: 128)
        let token = gruus.token(for: account, instance: "urn:a".utf8, call: "c".utf8, of: domain)
        #expect(token.utf8.count == TemporaryGRUUs.maximumLength)
        #expect(try #require(gruus.target(of: token, in: domain)).account == account)
    }

    @Test func anotherCallMakesItVoidAndAnotherFlowDoesNot() throws {
        let target = try #require(gruus.target(of: token(), in: domain))
        let contact = SIPUserDetails(instanceID: "urn:a", callID: "first")
        let moved = SIPUserDetails(instanceID: "urn:a", callID: "second")
        let flows = [("first", 1), ("second", 2)].map { call, number in
            SIPUserDetails(instanceID: "urn:a", regID: UInt32(number), callID: call)
        }
        #expect(target.includes(contact) && !target.includes(SIPUserDetails(instanceID: "urn:b", callID: "first")))
        #expect(!target.includes(SIPUserDetails(callID: "first")))
        #expect(target.isLive(among: [contact]))
        #expect(target.isLive(among: flows))
        #expect(!target.isLive(among: [moved]))
        #expect(!target.isLive(among: [contact, moved]))
        #expect(!target.isLive(among: [flows[1]]))
        #expect(!target.isLive(among: []))
    }

    private func token() -> String {
        gruus.token(for: "1001", instance: "urn:a".utf8, call: "first".utf8, of: domain)
    }
}
