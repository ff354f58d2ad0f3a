/// The quantities of configuration files, as text and back: `200ms`, `1.5s`, `2m`, `64KiB`.
package enum Quantity {
    /// Reads up to six digits with an optional fraction of up to six, then `ms`, `s`, `m` or `h`.
    package static func duration(_ text: String) -> Duration? {
        guard let (whole, fraction, unit) = split(text) else { return nil }
        let unitNanoseconds: Int64
        switch unit {
        case "ms": unitNanoseconds = 1_000_000
        case "s": unitNanoseconds = 1_000_000_000
        case "m": unitNanoseconds = 60_000_000_000
        case "h": unitNanoseconds = 3_600_000_000_000
        default: return nil
        }
        guard whole.count <= 6, fraction.count <= 6, let units = Int64(whole) else { return nil }
        let parts = Int64(fraction.padding(toDigits: 6)) ?? 0
        return .nanoseconds(units * unitNanoseconds + parts * (unitNanoseconds / 1_000_000))
    }

    /// Reads a whole number of bytes with an optional `B`, `KiB`, `MiB` or `GiB`.
    static func bytes(_ text: String) -> Int? {
        guard let (whole, fraction, unit) = split(text), fraction.isEmpty, whole.count <= 15,
            let count = Int(whole)
        else { return nil }
        let factor: Int
        switch unit {
        case "", "B": factor = 1
        case "KiB": factor = 1 << 10
        case "MiB": factor = 1 << 20
        case "GiB": factor = 1 << 30
        default: return nil
        }
        let (product, overflow) = count.multipliedReportingOverflow(by: factor)
        return overflow ? nil : product
    }

    /// A duration as it would be written in a file.
    static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        if attoseconds != 0 { return "\(seconds * 1000 + attoseconds / 1_000_000_000_000_000)ms" }
        if seconds != 0, seconds % 3600 == 0 { return "\(seconds / 3600)h" }
        if seconds != 0, seconds % 60 == 0 { return "\(seconds / 60)m" }
        return "\(seconds)s"
    }

    /// A number of bytes as it would be written in a file.
    static func text(bytes: Int) -> String {
        for (name, size) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] where bytes >= size {
            if bytes % size == 0 { return "\(bytes / size)\(name)" }
        }
        return "\(bytes)"
    }

    private static func split(_ text: String) -> (whole: String, fraction: String, unit: String)? {
        let unit = String(text.drop { $0.isASCIIDigit || $0 == "." })
        let parts = text.dropLast(unit.count).split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), parts.allSatisfy({ !$0.isEmpty }) else { return nil }
        return (String(parts[0]), parts.count == 2 ? String(parts[1]) : "", unit)
    }
}

extension Character {
    /// Whether this is one of `0` to `9` and nothing else that Unicode calls a digit.
    var isASCIIDigit: Bool { ("0"..."9").contains(self) && isASCII }
}

extension String {
    fileprivate func padding(toDigits count: Int) -> String {
        self + String(repeating: "0", count: count - self.count)
    }
}
