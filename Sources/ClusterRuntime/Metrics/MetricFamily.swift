/// All series of one name.
struct MetricFamily: Sendable {
    enum Kind: String, Sendable { case counter, gauge }

    /// Where a series' value comes from.
    enum Source: Sendable {
        case counter(Counter)
        case reading(@Sendable () -> Double)
        case samples(@Sendable () -> [MetricsRegistry.Sample])
    }

    let kind: Kind
    let help: String
    /// By their labels as they are shown.
    var series: [String: Source]

    /// Source: Prometheus, "Exposition formats", text format 0.0.4.
    /// - Returns: how many samples did not fit.
    @discardableResult
    func render(as name: String, into text: inout String) -> Int {
        var left = 0
        text += "# HELP \(name) \(MetricText.help(help))\n# TYPE \(name) \(kind.rawValue)\n"
        for (labels, source) in series.sorted(by: { $0.key < $1.key }) {
            switch source {
            case .counter(let counter): text += "\(name)\(labels) \(counter.value)\n"
            case .reading(let read): text += "\(name)\(labels) \(MetricText.number(read()))\n"
            case .samples(let read):
                let samples = read()
                left += max(0, samples.count - MetricsRegistry.maximumSeries)
                for sample in samples.prefix(MetricsRegistry.maximumSeries) {
                    text += "\(name)\(MetricText.labels(sample.labels)) \(MetricText.number(sample.value))\n"
                }
            }
        }
        return left
    }
}

/// How names, labels and numbers look in the text format.
enum MetricText {
    /// `{name="value",…}`, or nothing.
    static func labels(_ labels: MetricsRegistry.Labels) -> String {
        guard !labels.isEmpty else { return "" }
        let pairs = labels.map { label in
            precondition(isName(label.name), "\(label.name) is no name of a label")
            return #"\#(label.name)="\#(escaped(label.value, quote: true))""#
        }
        return "{\(pairs.joined(separator: ","))}"
    }

    static func help(_ text: String) -> String { escaped(text, quote: false) }

    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return Int64(exactly: value).map { String($0) } ?? "\(value)"
    }

    /// Letters, digits and `_`, not beginning with a digit. (Colons are for recording rules.)
    static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, !isDigit(first) else { return false }
        return text.utf8.allSatisfy { byte in
            isDigit(byte) || byte == UInt8(ascii: "_")
                || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    /// Walks scalars, since a carriage return and line feed are one character.
    private static func escaped(_ text: String, quote: Bool) -> String {
        var escaped = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped.append(contentsOf: #"\\"#.unicodeScalars)
            case "\n": escaped.append(contentsOf: #"\n"#.unicodeScalars)
            case "\"" where quote: escaped.append(contentsOf: #"\""#.unicodeScalars)
            default: escaped.append(scalar)
            }
        }
        return String(escaped)
    }
}
