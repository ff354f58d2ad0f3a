import Foundation
import PluginDestinations
import Testing

@Suite struct WebhookSignatureTests {
    /// Made with the reference library of Standard Webhooks for Python (PyPI `standardwebhooks` 1.0.0).
    @Test func theReferenceLibrarySignsAlike() throws {
        let signature = try #require(WebhookSignature(secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
        let header = signature.header(
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp: 1_614_265_330, body: Data(#"{"test": 2432232314}"#.utf8))
        #expect(header == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
    }

    @Test func aTextIsAKeyByItself() throws {
        let text = try #require(WebhookSignature(secret: "sixteen bytes it is"))
        let coded = try #require(
            WebhookSignature(secret: "whsec_" + Data("sixteen bytes it is".utf8).base64EncodedString()))
        let body = Data("{}".utf8)
        #expect(text.header(id: "a", timestamp: 1, body: body) == coded.header(id: "a", timestamp: 1, body: body))
        #expect(text.header(id: "a", timestamp: 1, body: body) != text.header(id: "a", timestamp: 2, body: body))
    }

    @Test(arguments: ["", "fifteen bytes..", "whsec_", "whsec_####", "whsec_c2hvcnQ="])
    func aWeakOrBrokenSecretIsNone(_ secret: String) {
        #expect(WebhookSignature(secret: secret) == nil)
    }

    @Test(
        arguments: [
            (200, nil, .taken), (204, nil, .taken), (410, nil, .gone), (413, nil, .tooLarge),
            (429, "7", .again(after: .seconds(7))), (503, "100000", .again(after: .seconds(300))),
            (503, "Fri, 31 Dec 2027 23:59:59 GMT", .again(after: nil)), (503, "-1", .again(after: nil)),
            (500, nil, .again(after: nil)), (408, nil, .again(after: nil)), (302, nil, .misconfigured),
            (400, "7", .misconfigured), (401, nil, .misconfigured), (404, nil, .misconfigured),
        ] as [(UInt, String?, WebhookAnswer)])
    func anAnswerMeans(_ status: UInt, _ retryAfter: String?, _ expected: WebhookAnswer) {
        #expect(WebhookAnswer(status: status, retryAfter: retryAfter) == expected)
    }
}
