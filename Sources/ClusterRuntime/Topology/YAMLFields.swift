import Yams

/// The keys of a mapping, already checked against those the reader knows.
struct YAMLFields {
    private let values: [String: YAMLValue]
    private let owner: YAMLValue

    fileprivate init(_ values: [String: YAMLValue], of owner: YAMLValue) {
        self.values = values
        self.owner = owner
    }

    /// The line where the mapping begins.
    var line: Int { owner.line }

    subscript(_ key: String) -> YAMLValue? { values[key] }

    /// The value of a key that must be there; reports when it is not.
    func required(_ key: String, _ expected: String) -> YAMLValue? {
        if let value = values[key] { return value }
        owner.reject("\(key) is missing", expected: expected)
        return nil
    }
}

extension YAMLValue {
    /// The mapping that stands here, or nil when it is something else.
    /// - Parameters:
    ///   - known: the keys the caller reads. Any other is reported with the nearest of them.
    ///   - elsewhere: keys that one may look for here, and where they belong.
    func fields(_ known: [String], elsewhere: [String: String] = [:]) -> YAMLFields? {
        guard let pairs = pairs("a mapping with \(known.joined(separator: ", "))") else { return nil }
        var values: [String: YAMLValue] = [:]
        for (key, value) in pairs {
            if known.contains(key.name) {
                values[key.name] = value
            } else if let place = elsewhere[key.name] {
                problems.report(line: key.line, "unknown key \(quoted(value.path))", expected: place)
            } else {
                let hint = NearestName.of(key.name, among: known).map { "`\($0)`" }
                problems.report(
                    line: key.line, "unknown key \(quoted(value.path))",
                    expected: hint ?? "one of \(known.joined(separator: ", "))")
            }
        }
        return YAMLFields(values, of: self)
    }

    /// The mapping's keys and values in the order of the file, for mappings whose keys are names of the
    /// operator's.
    func entries(_ expected: String) -> [(name: String, value: YAMLValue)] {
        (pairs(expected) ?? []).map { ($0.key.name, $0.value) }
    }

    private func pairs(_ expected: String) -> [(key: (name: String, line: Int), value: YAMLValue)]? {
        guard case .mapping(let mapping) = node else {
            reject("found \(found)", expected: expected)
            return nil
        }
        var seen: Set<String> = []
        var result: [(key: (name: String, line: Int), value: YAMLValue)] = []
        for (key, value) in mapping {
            let keyLine = key.mark?.line ?? line
            guard case .scalar(let scalar) = key else {
                problems.report(line: keyLine, "a key that is not a text", expected: expected)
                continue
            }
            // The parser refuses equal keys, but takes keys with different tags for different ones.
            guard seen.insert(scalar.string).inserted else {
                problems.report(
                    line: keyLine, "key \(quoted(scalar.string)) is given more than once",
                    expected: "each key once")
                continue
            }
            let valuePath = path.isEmpty ? scalar.string : "\(path).\(scalar.string)"
            result.append(
                ((scalar.string, keyLine), YAMLValue(node: value, path: valuePath, problems: problems)))
        }
        return result
    }
}
