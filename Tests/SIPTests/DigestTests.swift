import SIP
import Testing

@Suite struct DigestTests {
    private func digest(_ text: String) throws -> DigestAuthorization? {
        try DigestAuthorization(parsing: SIPText(text))
    }

    /// RFC 7616 section 3.9.1.
    @Test func exampleWithSHA256IsRead() throws {
        let digest = try #require(
            try digest(
                """
                Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm=SHA-256, \
                nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, \
                cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, \
                response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1", \
                opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
                """))
        #expect(digest.username.string == "Mufasa" && digest.account == "Mufasa")
        #expect(digest.realm.string == "http-auth@example.org" && digest.uri.string == "/dir/index.html")
        #expect(digest.nonce.string == "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v")
        #expect(digest.algorithm == .sha256 && digest.nc == 1 && digest.nonceCount?.string == "00000001")
        #expect(digest.qop?.string == "auth" && digest.response.count == 64 && !digest.userhash)
        #expect(digest.cnonce?.string == "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")
        #expect(digest.opaque?.string == "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS")
    }

    /// RFC 7616 section 3.9.2: the hash of `Jäsøn Doe`, and the name itself in `username*`.
    @Test func hashedAndExtendedUsernamesAreRead() throws {
        let rest = #"realm="api@example.org",nonce="n",uri="/doe.json",response="r",algorithm=SHA-512-256"#
        let hashed = try digest(
            #"Digest username="488869477bf257147b804c45308cd62ac4e25eb717b12b298c79e62dcea254ec",userhash=true,"# + rest
        )
        #expect(hashed?.userhash == true && hashed?.algorithm == .sha512_256)
        let extended = try digest("Digest username*=UTF-8''J%C3%A4s%C3%B8n%20Doe," + rest)
        #expect(extended?.account == "Jäsøn Doe" && extended?.username.isEmpty == true)
        #expect(try digest("Digest username*=ISO-8859-1''J%E4," + rest)?.account == nil)
    }

    /// RFC 2617 section 3.2.2: without qop there is no count either, and MD5 is meant.
    @Test func fieldsOfRFC2617AreEnough() throws {
        let digest = try #require(
            try digest(#"DIGEST username="a\"b\\",realm="r",nonce="n",uri="sip:h",response="x""#))
        #expect(digest.username.string == #"a"b\"# && digest.algorithm == .md5)
        #expect(digest.qop == nil && digest.nc == nil && digest.cnonce == nil && digest.opaque == nil)
    }

    @Test func otherSchemesAreNone() throws {
        #expect(try digest("Basic QWxhZGRpbg==") == nil)
    }

    @Test(arguments: [
        "Digest", "Digest ", #"Digest username="a""#, #"Digest username="a",,realm="r""#,
        #"Digest username="a",realm="r",nonce="n",uri="u",response="x",username="b""#,
        #"Digest username="a",realm="r",nonce="n",uri="u",response="x",nc=0000000g"#,
        #"Digest username="a",realm="r",nonce="n",uri="u",response="x",nc=000000001"#,
        #"Digest username="a",realm="r",nonce="n",uri="u",response="x" y"#,
        #"Digest username="a",realm="r",nonce="n",uri="u",response="x"#,
        #"Digest username="a",realm="r",nonce="n",uri="u""#,
    ])
    func malformedCredentialsAreRefused(_ text: String) {
        #expect(throws: SIPParseError.self) { try digest(text) }
    }
}
