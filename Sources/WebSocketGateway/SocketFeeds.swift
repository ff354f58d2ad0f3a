import WSSubscrActor

/// A socket's feeds, in the order of their numbers. Most sockets have one or two.
struct SocketFeeds {
    private var feeds: [SocketFeed] = []

    var indices: Range<Int> { feeds.indices }

    /// The only one.
    var single: SocketFeed? { feeds.count == 1 ? feeds.first : nil }

    subscript(index: Int) -> SocketFeed {
        get { feeds[index] }
        _modify { yield &feeds[index] }
    }

    /// Where a subscription's feed is; nil when it has none.
    func index(of number: UInt32) -> Int? {
        let place = place(of: number)
        return place < feeds.count && feeds[place].number == number ? place : nil
    }

    private func place(of number: UInt32) -> Int {
        var (low, high) = (0, feeds.count)
        while low < high {
            let middle = (low + high) / 2
            if feeds[middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// - Returns: where the subscription's feed is now, new or not.
    mutating func insert(_ number: UInt32, head: @autoclosure () -> [UInt8]) -> Int {
        let place = place(of: number)
        if place == feeds.count || feeds[place].number != number {
            feeds.insert(SocketFeed(number: number, head: head()), at: place)
        }
        return place
    }

    /// A subscription is over at its follower.
    /// - Parameter isRenewed: whether a request is on its way by which it may begin anew.
    mutating func ended(_ number: UInt32, isRenewed: Bool) {
        guard isRenewed else { return remove(number) }
        if let index = index(of: number) { feeds[index].ended() }
    }

    mutating func remove(_ number: UInt32) {
        if let index = index(of: number) { feeds.remove(at: index) }
    }
}
