import RegistrarEvents
import Testing

@testable import WSSubscrActor

@Suite struct MemberListTests {
    private func id(_ number: UInt32) -> SubscriberID { SubscriberID(lane: 1, connection: 1, number: number) }

    @Test func whoLeavesIsGoneAndNobodyElse() {
        var generator = SystemRandomNumberGenerator()
        var list = MemberList()
        var naive: Set<SubscriberID> = []
        for _ in 0..<2_000 {
            let one = id(UInt32.random(in: 0..<64, using: &generator))
            if Bool.random(using: &generator) {
                list.insert(one)
                naive.insert(one)
            } else {
                list.remove(one)
                naive.remove(one)
            }
            #expect(list.ids.count == naive.count && Set(list.ids) == naive)
        }
    }

    /// Names that only look alike are those of other accounts: nobody is told of them.
    @Test func anAccountIsFoundByItsBytes() {
        let composed = "jos\u{e9}"
        let decomposed = "jose\u{301}"
        let matcher = SubscriptionMatcher(.all, objects: [composed])
        #expect(matcher.covers(account: composed) && !matcher.covers(account: decomposed))
        #expect(SubscriptionMatcher(.all, objects: [composed, decomposed]).objects?.count == 2)
        var audience = Audience()
        audience.insert(id(1), matcher)
        #expect(audience.interested(in: composed) == [id(1)] && audience.interested(in: decomposed).isEmpty)
        audience.remove(id(1), matcher)
        #expect(audience.narrow.isEmpty && audience.interested(in: composed).isEmpty)
    }
}
