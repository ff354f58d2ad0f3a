import RegistrarEvents

/// Reads a filter's expression, within its limits.
struct FilterParser<Property: FilterProperty> {
    private var conditions = 0
    private var constants = 0

    private static var operators: String {
        "an operator: `and`, `or`, `not`, `==`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `contains`, `startswith`, `endswith`"
    }

    mutating func condition(_ value: JSONValue, at place: [Int]) throws(FilterError) -> FilterCondition<Property> {
        if case .boolean(let constant) = value { return .constant(constant) }
        guard case .array(let elements) = value, !elements.isEmpty else {
            throw FilterError(at: place, expected: "a condition: an array that begins with an operator", found: value)
        }
        guard place.count < FilterLimits.maximumDepth else {
            throw FilterError(
                at: place, expected: "conditions nested at most \(FilterLimits.maximumDepth) deep", found: value)
        }
        conditions += 1
        guard conditions <= FilterLimits.maximumConditions else {
            throw FilterError(
                at: place, expected: "at most \(FilterLimits.maximumConditions) conditions", found: value)
        }
        switch elements[0] {
        case "and", "&&": return .all(try parts(elements, at: place))
        case "or", "||": return .any(try parts(elements, at: place))
        case "not", "!":
            try count(elements, 1, at: place)
            return .not(try condition(elements[1], at: place + [1]))
        case "in": return .test(try membership(elements, at: place))
        case "==": return .test(try comparison(.equal, elements, at: place))
        case "!=": return .not(.test(try comparison(.equal, elements, at: place)))
        case "<": return .test(try comparison(.less, elements, at: place))
        case "<=": return .test(try comparison(.lessOrEqual, elements, at: place))
        case ">": return .test(try comparison(.less, elements, at: place, exchanged: true))
        case ">=": return .test(try comparison(.lessOrEqual, elements, at: place, exchanged: true))
        case "contains": return .test(try comparison(.contains, elements, at: place))
        case "startswith": return .test(try comparison(.startsWith, elements, at: place))
        case "endswith": return .test(try comparison(.endsWith, elements, at: place))
        default: throw FilterError(at: place + [0], expected: Self.operators, found: elements[0])
        }
    }

    /// The conditions that `and` and `or` join.
    private mutating func parts(
        _ elements: [JSONValue], at place: [Int]
    ) throws(FilterError) -> [FilterCondition<Property>] {
        guard elements.count > 1 else {
            throw FilterError(at: place, expected: "at least one condition after the operator", found: .array(elements))
        }
        var parts: [FilterCondition<Property>] = []
        for index in elements.indices.dropFirst() {
            parts.append(try condition(elements[index], at: place + [index]))
        }
        return parts
    }

    private mutating func comparison(
        _ comparison: FilterTest<Property>.Comparison, _ elements: [JSONValue], at place: [Int],
        exchanged: Bool = false
    ) throws(FilterError) -> FilterTest<Property> {
        try count(elements, 2, at: place)
        let left = try operand(elements[1], at: place + [1])
        let right = try operand(elements[2], at: place + [2])
        return exchanged ? .comparison(comparison, right, left) : .comparison(comparison, left, right)
    }

    private mutating func membership(
        _ elements: [JSONValue], at place: [Int]
    ) throws(FilterError) -> FilterTest<Property> {
        try count(elements, 2, at: place)
        let left = try operand(elements[1], at: place + [1])
        guard case .array(let list) = elements[2] else {
            throw FilterError(
                at: place + [2], expected: #"a list of constants or ["property",NAME]"#, found: elements[2])
        }
        if list.first == "property" { return .comparison(.contains, try operand(elements[2], at: place + [2]), left) }
        var values: Set<JSONValue> = []
        for (index, element) in list.enumerated() {
            values.insert(try constant(element, at: place + [2, index]))
        }
        return .membership(left, values)
    }

    private func count(_ elements: [JSONValue], _ operands: Int, at place: [Int]) throws(FilterError) {
        guard elements.count == operands + 1 else {
            let expected = operands == 1 ? "one operand" : "\(operands) operands"
            throw FilterError(at: place, expected: expected, found: .array(elements))
        }
    }

    private mutating func operand(
        _ value: JSONValue, at place: [Int]
    ) throws(FilterError) -> FilterTest<Property>.Operand {
        guard case .array(let elements) = value else {
            let constant = try constant(value, at: place)
            return constant.text.map { .text(ExactText($0)) } ?? .constant(constant)
        }
        guard elements.count == 2, elements[0] == "property" else {
            throw FilterError(at: place, expected: #"a constant or ["property",NAME]"#, found: value)
        }
        guard let name = elements[1].text, let property = Property(name: name) else {
            throw FilterError(at: place + [1], expected: "one of \(Property.names)", found: elements[1])
        }
        return .property(property)
    }

    private mutating func constant(_ value: JSONValue, at place: [Int]) throws(FilterError) -> JSONValue {
        constants += 1
        guard constants <= FilterLimits.maximumConstants else {
            throw FilterError(at: place, expected: "at most \(FilterLimits.maximumConstants) constants", found: value)
        }
        switch value {
        case .null, .boolean, .integer, .number, .string: return value
        case .array, .object:
            throw FilterError(at: place, expected: "a constant: text, number, true, false or null", found: value)
        }
    }
}
