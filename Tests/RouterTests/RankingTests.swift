import ClusterRuntime
import RegistrarEvents
import Testing

@testable import Router

@Suite struct RankingTests {
    private func nodes(_ weights: [Int], orders: [Int]? = nil) -> [ClusterLayout.Node] {
        weights.enumerated().map { index, weight in
            ClusterLayout.Node(
                name: NodeName("sr\(index)"), role: .sr, site: "main", server: "s\(index)",
                order: orders?[index] ?? 1, weight: weight)
        }
    }

    private func winners(_ nodes: [ClusterLayout.Node], domains: Int = 6000) -> [Int] {
        (0..<domains).map { Ranking.ranked(nodes, for: domain("t\($0).example"))[0] }
    }

    /// Changing the hash would move every domain at the next upgrade.
    @Test func theHashIsFixed() {
        #expect(Ranking.hash(domain("demo.example"), NodeName("sr1")) == 12_117_983_213_433_617_504)
        #expect(Ranking.hash(domain("acme.example"), NodeName("sr2")) == 3_265_553_228_837_897_211)
    }

    @Test func domainsAreSharedByWeight() {
        let wins = winners(nodes([100, 200, 300])).reduce(into: [0, 0, 0]) { $0[$1] += 1 }
        #expect((850...1150).contains(wins[0]))
        #expect((1800...2200).contains(wins[1]))
        #expect((2750...3250).contains(wins[2]))
    }

    @Test func aNodeThatLeavesTakesOnlyItsOwnDomainsWithIt() {
        let before = winners(nodes([100, 100, 100, 100]))
        let after = winners(nodes([100, 100, 100]))
        for (old, new) in zip(before, after) where old != 3 { #expect(old == new) }
    }

    @Test func aLowerOrderComesFirst() {
        #expect(Set(winners(nodes([100, 100, 100], orders: [2, 1, 2]), domains: 100)) == [1])
    }
}
