import RegistrarEvents

/// A filter as it was read, before it is compiled.
indirect enum FilterCondition<Property: FilterProperty> {
    case constant(Bool)
    case not(FilterCondition)
    case all([FilterCondition])
    case any([FilterCondition])
    case test(FilterTest<Property>)
}

/// The smallest part of a filter: one look at one or two values.
enum FilterTest<Property: FilterProperty>: Hashable, Sendable {
    case comparison(Comparison, Operand, Operand)
    /// Whether a value is one of these.
    case membership(Operand, Set<JSONValue>)

    enum Operand: Hashable, Sendable {
        case property(Property)
        /// Of any kind but a text.
        case constant(JSONValue)
        /// Some comparisons look at the bytes, so texts that only look alike make different filters.
        case text(ExactText)
    }

    /// All others are made of these by exchanging operands or by `not`.
    enum Comparison: Hashable, Sendable {
        case equal
        case less
        case lessOrEqual
        case contains
        case startsWith
        case endsWith
    }

    func holds(for subject: some Filterable<Property>) -> Bool {
        switch self {
        case .comparison(let comparison, let left, let right):
            comparison.holds(left.value(in: subject), right.value(in: subject))
        case .membership(let operand, let values): values.contains(operand.value(in: subject))
        }
    }
}

extension FilterTest.Operand {
    func value(in subject: some Filterable<Property>) -> JSONValue {
        switch self {
        case .property(let property): subject.value(of: property)
        case .constant(let constant): constant
        case .text(let text): .string(text.string)
        }
    }
}

extension FilterTest.Comparison {
    func holds(_ left: JSONValue, _ right: JSONValue) -> Bool {
        switch self {
        case .equal: left == right
        case .less: left.isLess(than: right) ?? false
        case .lessOrEqual: right.isLess(than: left).map { !$0 } ?? false
        case .contains: left.contains(right)
        case .startsWith: Self.texts(left, right) { $0.starts(with: $1) }
        case .endsWith: Self.texts(left, right) { $0.suffix($1.count).elementsEqual($1) }
        }
    }

    private static func texts(
        _ left: JSONValue, _ right: JSONValue, _ holds: (String.UTF8View, String.UTF8View) -> Bool
    ) -> Bool {
        guard case .string(let left) = left, case .string(let right) = right else { return false }
        return holds(left.utf8, right.utf8)
    }
}

extension JSONValue {
    /// Numbers go by value, strings by Unicode.
    /// - Returns: nil when they are not both numbers or both strings.
    fileprivate func isLess(than other: JSONValue) -> Bool? {
        switch (self, other) {
        case (.integer(let left), .integer(let right)): left < right
        case (.integer(let left), .number(let right)): Double(left) < right
        case (.number(let left), .integer(let right)): left < Double(right)
        case (.number(let left), .number(let right)): left < right
        case (.string(let left), .string(let right)): left < right
        case (.null, _), (.boolean, _), (.integer, _), (.number, _), (.string, _), (.array, _), (.object, _): nil
        }
    }

    /// Whether a list has an element, or a string a part.
    fileprivate func contains(_ part: JSONValue) -> Bool {
        switch (self, part) {
        case (.array(let elements), _): elements.contains(part)
        case (.string(let text), .string(let part)): text.utf8.contains(part.utf8)
        case (.null, _), (.boolean, _), (.integer, _), (.number, _), (.string, _), (.object, _): false
        }
    }
}
