import Digests
import Testing

@Suite struct DigestTests {
    private func hash(_ algorithm: DigestAlgorithm, _ text: String) -> String {
        algorithm.hex { $0.append(text) }.description
    }

    private func matches(_ digest: HexDigest, _ digits: [UInt8]) -> Bool { digest.matches(digits.span) }

    @Test func digestsAgreeWithTheStandardsVectors() {
        // RFC 1321 appendix A.5.
        #expect(hash(.md5, "") == "d41d8cd98f00b204e9800998ecf8427e")
        #expect(hash(.md5, "abc") == "900150983cd24fb0d6963f7d28e17f72")
        // FIPS 180-4, NIST's example values.
        #expect(hash(.sha256, "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(hash(.sha512_256, "abc") == "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23")
        let twoBlocks =
            "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrs"
            + "mnopqrstnopqrstu"
        #expect(hash(.sha512_256, twoBlocks) == "3928e184fb8690f840da3988121d31be65cb9d3ef83ee6146feac861e19b563a")
    }

    /// The request of RFC 7616 sections 3.9.1 and 3.9.2, answered.
    @Test(arguments: [
        (DigestAlgorithm.md5, "8ca523f5e9506fed4657c9700eebdbec"),
        (.sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ])
    func anAnswerAgreesWithTheStandardsExample(_ algorithm: DigestAlgorithm, _ response: String) {
        let ha1 = algorithm.hex { $0.append("Mufasa:http-auth@example.org:Circle of Life") }
        let ha2 = algorithm.hex { $0.append("GET:/dir/index.html") }
        let answer = algorithm.hex { input in
            input.append(ha1)
            input.append(UInt8(ascii: ":"))
            input.append("7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v:00000001")
            input.append(":f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ:auth:")
            input.append(ha2)
        }
        #expect(answer.description == response)
        #expect(matches(answer, Array(response.utf8)))
    }

    @Test(arguments: DigestAlgorithm.allCases)
    func partsHashLikeTheWhole(_ algorithm: DigestAlgorithm) {
        let text = String(repeating: "0123456789abcdef-", count: 40)
        let whole = algorithm.hex { $0.append(text) }
        for step in [1, 7, 63, 64, 65, 127, 128, 129] {
            let parts = algorithm.hex { input in
                var rest = Array(text.utf8)[...]
                while !rest.isEmpty {
                    let part = Array(rest.prefix(step))
                    input.append(part.span)
                    rest = rest.dropFirst(step)
                }
            }
            #expect(parts == whole, "in parts of \(step)")
        }
        #expect(whole.count == algorithm.digestLength * 2)
    }

    @Test func aDigestMatchesItsOwnDigitsAlone() {
        let digest = DigestAlgorithm.md5.hex { $0.append("abc") }
        let digits = Array(digest.description.utf8)
        #expect(matches(digest, digits))
        for index in digits.indices {
            var other = digits
            other[index] ^= 1
            #expect(!matches(digest, other), "digit \(index)")
        }
        #expect(!matches(digest, Array(digits.dropLast())))
        #expect(!matches(digest, (digits + [0])))
        #expect(!matches(digest, [UInt8]()))
    }

    @Test func namesAreReadInAnyCase() {
        #expect(DigestAlgorithm(name: "sha-512-256") == .sha512_256)
        #expect(DigestAlgorithm(name: "Md5") == .md5)
        #expect(DigestAlgorithm(name: "MD5-sess") == nil)
        #expect(DigestAlgorithm.allCases.map(\.name) == ["SHA-512-256", "SHA-256", "MD5"])
    }
}
