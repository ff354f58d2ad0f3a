import ClusterRuntime
import RegistrarEvents

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Which nodes should serve a domain: weighted rendezvous hashing.
///
/// Every node draws a number from the hash of its name and the domain's, the highest one wins, the next ones come
/// after it. A node that leaves takes only its own domains with it, one that joins takes an equal share from all.
/// Source: Thaler and Ravishankar, "A name-based mapping scheme for rendezvous" (1996); the weights by
/// -weight / ln(draw), Schindelhauer and Schomaker, "Weighted distributed hash tables" (2005).
///
/// The order must not change between versions, or an upgrade would move every domain.
enum Ranking {
    /// The places of `nodes` in descending rank: by `order`, then by draw, then by name.
    static func ranked(_ nodes: [ClusterLayout.Node], for domain: DomainName) -> [Int] {
        let scores = nodes.map { score(of: $0, for: domain) }
        return nodes.indices.sorted { left, right in
            if nodes[left].order != nodes[right].order { return nodes[left].order < nodes[right].order }
            if scores[left] != scores[right] { return scores[left] > scores[right] }
            return nodes[left].name < nodes[right].name
        }
    }

    private static func score(of node: ClusterLayout.Node, for domain: DomainName) -> Double {
        // 53 bits make a number between 0 and 1 exclusive; its logarithm is finite and negative.
        let draw = (Double(hash(domain, node.name) >> 11) + 0.5) / 0x1p53
        return -Double(max(1, node.weight)) / log(draw)
    }

    /// FNV-1a, 64 bits, over the domain's bytes, a zero byte and the node's bytes, then the finalizer of MurmurHash3:
    /// FNV alone spreads names that differ in their last byte badly.
    static func hash(_ domain: DomainName, _ node: NodeName) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func mix(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        domain.rawValue.utf8.forEach(mix)
        mix(0)
        node.rawValue.utf8.forEach(mix)
        hash = (hash ^ (hash >> 33)) &* 0xff51_afd7_ed55_8ccd
        hash = (hash ^ (hash >> 33)) &* 0xc4ce_b9fe_1a85_ec53
        return hash ^ (hash >> 33)
    }
}
