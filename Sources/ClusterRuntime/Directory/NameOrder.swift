import RegistrarEvents

extension String {
    /// Whether it comes before another by the bytes of its UTF-8 form: the order in which directories list accounts,
    /// whatever they are kept in.
    public func bytesPrecede(_ other: String) -> Bool { ExactText(self) < ExactText(other) }
}

extension AccountTable {
    /// Single accounts are gone through for each call, so ask for many at a time.
    func names(_ domain: DomainName, _ kind: AccountKind, after last: String, limit: Int) -> [String] {
        guard let accounts = accounts[Key(domain: domain, kind: kind)] else { return [] }
        var names = accounts.singles.keys.map(\.string).filter { last.bytesPrecede($0) }
        for ranged in accounts.ranges { names += ranged.range.names(after: last, limit: limit) }
        return Array(names.sorted { $0.bytesPrecede($1) }.prefix(limit))
    }
}

extension AccountRange {
    /// The names after another one, by their bytes; at most so many.
    package func names(after last: String, limit: Int) -> [String] {
        var names: [String] = []
        // Of names of one length, the numbers' order is that of the bytes.
        var first = numbers.lowerBound
        while first <= numbers.upperBound {
            let end = min(Self.lastOfLength(first), numbers.upperBound)
            let start = firstNumber(in: first...end, after: last)
            if start <= end { names += (start...end).prefix(limit).map { name($0) } }
            first = end + 1
        }
        return Array(names.sorted { $0.bytesPrecede($1) }.prefix(limit))
    }

    /// The largest number with as many digits.
    private static func lastOfLength(_ number: Int) -> Int {
        var bound = 10
        while bound <= number { bound *= 10 }
        return bound - 1
    }

    /// Binary search for the first number whose name comes after another.
    private func firstNumber(in numbers: ClosedRange<Int>, after last: String) -> Int {
        var (low, high) = (numbers.lowerBound, numbers.upperBound + 1)
        while low < high {
            let middle = low + (high - low) / 2
            if last.bytesPrecede(name(middle)) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
