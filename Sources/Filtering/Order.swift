public import RegistrarEvents

/// In which order a list is wanted: by the first property, then by the next; `-` before a name turns it round.
/// `["-status","id"]`, or `-status,id` in one text.
///
/// What has no value comes first, then `false`, `true`, numbers, strings and lists.
public struct Order<Property: FilterProperty>: Hashable, Sendable {
    private struct Key: Hashable, Sendable {
        let property: Property
        let isDescending: Bool
    }
    private let keys: [Key]

    /// - Throws: when something is no property's name, or there is none.
    public init(_ value: JSONValue) throws(FilterError) {
        var keys: [Key] = []
        for (index, name) in try value.names("names of properties").enumerated() {
            let isDescending = name.hasPrefix("-")
            guard let property = Property(name: isDescending ? String(name.dropFirst()) : name) else {
                let expected = "one of \(Property.names), `-` before it for descending"
                throw FilterError(at: [index], expected: expected, found: .string(name))
            }
            keys.append(Key(property: property, isDescending: isDescending))
        }
        self.keys = keys
    }

    /// Whether one has to come before the other; what is alike keeps its place.
    public func precedes<Subject: Filterable<Property>>(_ left: Subject, _ right: Subject) -> Bool {
        for key in keys {
            let (a, b) = (left.value(of: key.property), right.value(of: key.property))
            if a.sorts(before: b) { return !key.isDescending }
            if b.sorts(before: a) { return key.isDescending }
        }
        return false
    }

    /// Puts in order; stable.
    public func sorted<Subject: Filterable<Property>>(_ subjects: [Subject]) -> [Subject] {
        subjects.enumerated().sorted { left, right in
            if precedes(left.element, right.element) { return true }
            return left.offset < right.offset && !precedes(right.element, left.element)
        }.map(\.element)
    }
}

extension JSONValue {
    /// A total order over all kinds of values that properties have.
    fileprivate func sorts(before other: JSONValue) -> Bool {
        switch (self, other) {
        case (.boolean(let left), .boolean(let right)): !left && right
        case (.integer(let left), .integer(let right)): left < right
        case (.integer(let left), .number(let right)): Double(left) < right
        case (.number(let left), .integer(let right)): left < Double(right)
        case (.number(let left), .number(let right)): left < right
        case (.string(let left), .string(let right)): left < right
        case (.array(let left), .array(let right)): left.lexicographicallyPrecedes(right) { $0.sorts(before: $1) }
        case (.null, _), (.boolean, _), (.integer, _), (.number, _), (.string, _), (.array, _), (.object, _):
            rank < other.rank
        }
    }

    private var rank: Int {
        switch self {
        case .null: 0
        case .boolean: 1
        case .integer, .number: 2
        case .string: 3
        case .array: 4
        case .object: 5
        }
    }
}
