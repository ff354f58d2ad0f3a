import ClusterRuntime
import RegistrarEvents
import Testing

struct MovementWishesTests {
    @Test func theTextIsReadBack() throws {
        var wishes = MovementWishes()
        #expect(MovementWishes(text: wishes.text) == wishes)
        wishes.drain(NodeName("sr2"))
        wishes.drain(NodeName("sr1"))
        wishes.drain(NodeName("sr2"))
        wishes.move(try #require(DomainName("a.example")), to: NodeName("sr3"))
        #expect(wishes.text == #"{"drained":["sr1","sr2"],"moves":{"a.example":"sr3"}}"#)
        #expect(MovementWishes(text: wishes.text) == wishes)
    }

    @Test func laterMembersArePassedOverAndBrokenTextIsNotTaken() {
        #expect(MovementWishes(text: #"{"drained":["sr1"],"pins":[1]}"#)?.drained == [NodeName("sr1")])
        for broken in ["", "[]", "{", #"{"drained":"sr1"}"#, #"{"moves":{"not a domain":"sr1"}}"#] {
            #expect(MovementWishes(text: broken) == nil, "\(broken)")
        }
    }
}
