/// Finds the known name that a mistyped one most likely meant.
package enum NearestName {
    /// The candidate with the fewest edits, when those are few enough for a suggestion to help.
    package static func of(_ text: String, among candidates: [String]) -> String? {
        guard text.utf8.count <= 64 else { return nil }
        let ranked = candidates.map { (edits: edits(text, $0), name: $0) }
        guard let best = ranked.min(by: { ($0.edits, $0.name) < ($1.edits, $1.name) }) else { return nil }
        return best.edits <= max(2, text.utf8.count / 3) ? best.name : nil
    }

    /// Levenshtein's distance, in bytes.
    private static func edits(_ left: String, _ right: String) -> Int {
        let right = Array(right.utf8)
        var previous = Array(0...right.count)
        for (row, byte) in left.utf8.enumerated() {
            var current = [row + 1]
            for (column, other) in right.enumerated() {
                let replaced = previous[column] + (byte == other ? 0 : 1)
                current.append(min(replaced, previous[column + 1] + 1, current[column] + 1))
            }
            previous = current
        }
        return previous[right.count]
    }
}
