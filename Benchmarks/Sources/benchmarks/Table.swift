import Foundation

/// Results as aligned text or as JSON.
struct Table {
    struct Row: Codable {
        var name: String
        /// One text a column, as printed.
        var cells: [String]
        /// The bar or limit that the row is held against, and whether it is met.
        var verdict: String = ""
    }

    let title: String
    let columns: [String]
    var rows: [Row] = []
    var notes: [String] = []

    init(_ title: String, columns: [String]) {
        self.title = title
        self.columns = columns
    }

    mutating func add(_ name: String, _ cells: [String], verdict: String = "") {
        precondition(cells.count == columns.count, "\(title): \(cells.count) cells for \(columns.count) columns")
        rows.append(Row(name: name, cells: cells, verdict: verdict))
    }

    var text: String {
        let lines = [[""] + columns + [""]] + rows.map { [$0.name] + $0.cells + [$0.verdict] }
        let widths = lines[0].indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        var text = "\(title)\n"
        for line in lines {
            let padded = line.indices.map { column in
                let padding = String(repeating: " ", count: widths[column] - line[column].count)
                return column == 0 || column == line.count - 1 ? line[column] + padding : padding + line[column]
            }
            text += "  " + padded.joined(separator: "  ").trimmingSuffix() + "\n"
        }
        for note in notes { text += "  \(note)\n" }
        return text
    }

    var json: String {
        let rows = rows.map { row -> [String: Any] in
            let values = Dictionary(uniqueKeysWithValues: zip(columns, row.cells))
            return ["name": row.name, "verdict": row.verdict, "values": values]
        }
        let object: [String: Any] = ["table": title, "rows": rows, "notes": notes]
        // Strings, arrays and dictionaries of them can always be written.
        let data = try? JSONSerialization.data(withJSONObject: object, options: [.sortedKeys])
        return String(decoding: data ?? Data(), as: UTF8.self)
    }
}

extension String {
    fileprivate func trimmingSuffix() -> String {
        var text = self
        while text.last == " " { text.removeLast() }
        return text
    }
}

/// Several measurements of one thing.
struct Samples: Codable, Sendable {
    var values: [Double] = []

    init(_ values: [Double] = []) { self.values = values }

    mutating func add(_ value: Double) { values.append(value) }

    var median: Double { percentile(50) }

    func percentile(_ percent: Double) -> Double {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return .nan }
        return sorted[min(Int((Double(sorted.count - 1) * percent / 100).rounded()), sorted.count - 1)]
    }

    /// `median (min–max)`.
    func text(_ format: (Double) -> String = Format.whole) -> String {
        guard values.count > 1 else { return format(median) }
        return "\(format(median)) (\(format(values.min() ?? .nan))–\(format(values.max() ?? .nan)))"
    }
}

enum Format {
    static func whole(_ value: Double) -> String {
        guard value.isFinite else { return "-" }
        var digits = Array(String(Int(value.rounded())))
        var index = digits.count - 3
        while index > 0 {
            digits.insert(",", at: index)
            index -= 3
        }
        return String(digits)
    }

    static func tenths(_ value: Double) -> String { String(format: "%.1f", value) }
    static func hundredths(_ value: Double) -> String { String(format: "%.2f", value) }
    /// In thousands.
    static func thousands(_ value: Double) -> String { whole(value / 1_000) + " k" }

    static func verdict(_ isMet: Bool, _ bar: String) -> String { "\(isMet ? "meets" : "MISSES") \(bar)" }
}
