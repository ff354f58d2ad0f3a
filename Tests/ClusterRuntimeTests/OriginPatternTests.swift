import Testing

@testable import ClusterRuntime

@Suite struct OriginPatternTests {
    @Test(arguments: [
        ("https://app.example", "https://app.example", true), ("https://app.example", "https://APP.Example", true),
        ("https://app.example", "https://app.example:443", true), ("https://app.example", "http://app.example", false),
        ("https://app.example", "https://app.example:8443", false),
        ("https://app.example", "https://a.app.example", false),
        ("https://app.example:8443", "https://app.example:8443", true),
        ("https://app.example:8443", "https://app.example", false),
        ("app.example", "http://app.example:8080", true), ("app.example:8080", "http://app.example:8080", true),
        ("app.example:8080", "http://app.example", false), ("app.example:80", "http://app.example", true),
        ("*.example", "https://app.example", true), ("*.example", "http://a.b.example:81", true),
        ("*.example", "https://example", false), ("*.example", "https://badexample", false),
        ("https://*.example", "https://app.example", true), ("https://*.example", "http://app.example", false),
        ("https://*.example", "https://app.example.evil.test", false),
        ("app://local", "app://local", true), ("http://[::1]:8080", "http://[::1]:8080", true),
        ("http://192.0.2.7", "http://192.0.2.7:80", true),
        ("app.example", "null", false), ("app.example", "", false), ("app.example", "app.example", false),
        ("app.example", "https://app.example/", false), ("app.example", "https://user@app.example", false),
        ("app.example", "https://app.example:x", false), ("app.example", "https://", false),
    ])
    func anOriginIsLikeAPatternOrNot(_ pattern: String, _ origin: String, _ isLike: Bool) throws {
        #expect(try #require(OriginPattern(pattern)).matches(origin) == isLike)
    }

    @Test(arguments: [
        "", "*", "*.", "https://", "https://*", "https://app.example/", "https://app.example/path", "app/path",
        "https://a.*.example", "*app.example", "https://app.example:0", "https://app.example:65536",
        "https://app.example:", "ht tp://a", "https://a b", "*.[::1]", "::1", "null://", "https://user@app.example",
        String(repeating: "a", count: 301),
    ])
    func whatIsNoPatternIsRefused(_ text: String) {
        #expect(OriginPattern(text) == nil)
    }
}
