import RegistrarEvents
import Testing

/// "é" as one scalar, and as a letter with an accent: Swift's strings are equal, accounts are not.
@Suite struct ExactTextTests {
    private let composed = "jos\u{e9}"
    private let decomposed = "jose\u{301}"

    @Test func whatOnlyLooksAlikeIsAnother() {
        #expect(composed == decomposed)
        #expect(ExactText(composed) != ExactText(decomposed))
        #expect(AccountID(.user, composed) != AccountID(.user, decomposed))
        #expect(Set([AccountID(.user, composed), AccountID(.user, decomposed)]).count == 2)
        #expect(ContactKey(.user, "a", composed) != ContactKey(.user, "a", decomposed))
        // The same scalars in another order: as many bytes.
        #expect(ExactText("a\u{323}\u{301}") != ExactText("a\u{301}\u{323}"))
    }

    @Test func theOrderIsThatOfTheBytes() {
        #expect(ExactText(decomposed) < ExactText(composed))
        #expect(ExactText("b") < ExactText("ba") && !(ExactText("b") < ExactText("b")))
        #expect(ContactKey(.user, decomposed, "1") < ContactKey(.user, composed, "0"))
    }
}
