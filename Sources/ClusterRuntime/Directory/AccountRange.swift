/// Accounts whose names count up: `u1..u100` is u1, u2 and so on to u100; `u001..u100` has three digits
/// throughout.
package struct AccountRange: Hashable, Sendable, CustomStringConvertible {
    let prefix: String
    let numbers: ClosedRange<Int>
    /// Digits of every name when the first and the last have as many; nil when names simply grow longer.
    let width: Int?

    /// Most accounts of one range.
    static let maximumCount = 1_000_000

    /// Reads `FIRST..LAST`: the same text before the number, and the numbers in order.
    package init?(_ text: String) {
        let ends = text.split(separator: "..", omittingEmptySubsequences: false)
        guard ends.count == 2, let first = Self.split(ends[0]), let last = Self.split(ends[1]),
            first.prefix == last.prefix, first.number <= last.number,
            last.number - first.number < Self.maximumCount
        else { return nil }
        if first.digits == last.digits {
            width = first.digits
        } else if first.isPadded || last.isPadded {
            return nil
        } else {
            width = nil
        }
        prefix = first.prefix
        numbers = first.number...last.number
    }

    private init(prefix: String, numbers: ClosedRange<Int>, width: Int?) {
        self.prefix = prefix
        self.numbers = numbers
        self.width = width
    }

    var count: Int { numbers.count }

    package var names: some Sequence<String> { numbers.lazy.map { name($0) } }

    func contains(_ name: String) -> Bool {
        guard let parts = Self.split(name[...]) else { return false }
        return parts.prefix == prefix && numbers.contains(parts.number)
            && (width.map { parts.digits == $0 } ?? !parts.isPadded)
    }

    func overlaps(_ other: AccountRange) -> Bool {
        guard prefix == other.prefix, numbers.overlaps(other.numbers) else { return false }
        // Names of different widths differ, so a shared number is a shared name only if both write it alike.
        let shared = numbers.clamped(to: other.numbers)
        return contains(other.name(shared.lowerBound)) || contains(other.name(shared.upperBound))
    }

    /// What is left when one of its names is taken out: none, one or two ranges.
    func removing(_ name: String) -> [AccountRange] {
        guard contains(name), let number = Self.split(name[...])?.number else { return [self] }
        var rest: [AccountRange] = []
        if number > numbers.lowerBound {
            rest.append(AccountRange(prefix: prefix, numbers: numbers.lowerBound...number - 1, width: width))
        }
        if number < numbers.upperBound {
            rest.append(AccountRange(prefix: prefix, numbers: number + 1...numbers.upperBound, width: width))
        }
        return rest
    }

    package var description: String { "\(name(numbers.lowerBound))..\(name(numbers.upperBound))" }

    func name(_ number: Int) -> String {
        let digits = String(number)
        return prefix + String(repeating: "0", count: max(0, (width ?? 0) - digits.count)) + digits
    }

    private static func split(
        _ name: Substring
    ) -> (prefix: String, number: Int, digits: Int, isPadded: Bool)? {
        let digits = name.reversed().prefix(while: \.isASCIIDigit).count
        guard (1...15).contains(digits), let number = Int(name.suffix(digits)) else { return nil }
        let isPadded = digits > 1 && name.suffix(digits).first == "0"
        return (String(name.dropLast(digits)), number, digits, isPadded)
    }
}
