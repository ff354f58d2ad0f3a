import ClusterRuntime
import Filtering
import RegistrarEvents
import Testing

/// The compiled filter against one that walks the expression.
struct FilterPropertyTests {
    @Test(arguments: 0..<20) func everyFilterDecidesAsTheExpressionReads(_ seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var accepted = 0
        for _ in 0..<200 {
            let expression = Self.condition(depth: 4, &random)
            let filter = try Filter<Thing.Property>(expression)
            for _ in 0..<10 {
                let thing = Self.thing(&random)
                let expected = Naive.holds(expression, thing)
                #expect(filter.matches(thing) == expected, "seed \(seed): \(expression) of \(thing)")
                accepted += expected ? 1 : 0
            }
        }
        #expect((200...1_800).contains(accepted), "seed \(seed) tests nothing: \(accepted) of 2000")
    }

    private static let values: [JSONValue] = [
        .null, true, false, -1, 0, 7, .number(6.5), .number(7.5), "", "a", "ab", "b", "é",
    ]
    private static let names = Thing.Property.allCases.map(\.rawValue)

    private static func pick<Value>(_ values: [Value], _ random: inout SplitMix64) -> Value {
        values[Int(random.next() % UInt64(values.count))]
    }

    private static func thing(_ random: inout SplitMix64) -> Thing {
        var values: [Thing.Property: JSONValue] = [:]
        for property in Thing.Property.allCases {
            values[property] =
                property == .tags
                ? .array((0..<(random.next() % 3)).map { _ in pick(Self.values, &random) }) : pick(Self.values, &random)
        }
        return Thing(values)
    }

    private static func condition(depth: Int, _ random: inout SplitMix64) -> JSONValue {
        let branch = depth == 0 ? 0 : random.next() % 10
        switch branch {
        case 7: return ["not", condition(depth: depth - 1, &random)]
        case 8, 9:
            let parts = (0...(random.next() % 3)).map { _ in condition(depth: depth - 1, &random) }
            return .array([pick(["and", "&&", "or", "||"], &random)] + parts)
        case 6: return .boolean(random.next() % 2 == 0)
        default:
            let name: JSONValue = pick(
                ["==", "!=", "<", "<=", ">", ">=", "contains", "startswith", "endswith", "in"], &random)
            let left = operand(&random)
            guard name == "in" else { return [name, left, operand(&random)] }
            let list = JSONValue.array((0..<(random.next() % 4)).map { _ in pick(values, &random) })
            return [name, left, random.next() % 2 == 0 ? list : ["property", "tags"]]
        }
    }

    private static func operand(_ random: inout SplitMix64) -> JSONValue {
        random.next() % 3 == 0 ? pick(values, &random) : ["property", .string(pick(names, &random))]
    }
}

/// Says what an expression means by walking it, slowly.
private enum Naive {
    static func holds(_ expression: JSONValue, _ thing: Thing) -> Bool {
        if case .boolean(let constant) = expression { return constant }
        guard case .array(let elements) = expression, case .string(let name) = elements[0] else { return false }
        let rest = Array(elements.dropFirst())
        switch name {
        case "and", "&&": return rest.allSatisfy { holds($0, thing) }
        case "or", "||": return rest.contains { holds($0, thing) }
        case "not": return !holds(rest[0], thing)
        case "in":
            guard case .array(let list) = value(rest[1], thing) else { return false }
            return list.contains(value(rest[0], thing))
        default: return compare(name, value(rest[0], thing), value(rest[1], thing))
        }
    }

    private static func compare(_ name: String, _ left: JSONValue, _ right: JSONValue) -> Bool {
        if name == "==" { return left == right }
        if name == "!=" { return left != right }
        if name == "contains", case .array(let list) = left { return list.contains(right) }
        if case .string(let a) = left, case .string(let b) = right {
            switch name {
            case "<": return a < b
            case "<=": return a <= b
            case ">": return a > b
            case ">=": return a >= b
            case "contains": return b.isEmpty || a.contains(b)
            case "startswith": return a.hasPrefix(b)
            default: return a.hasSuffix(b)
            }
        }
        guard let a = number(left), let b = number(right) else { return false }
        switch name {
        case "<": return a < b
        case "<=": return a <= b
        case ">": return a > b
        case ">=": return a >= b
        default: return false
        }
    }

    private static func number(_ value: JSONValue) -> Double? {
        if case .integer(let integer) = value { return Double(integer) }
        if case .number(let number) = value { return number }
        return nil
    }

    private static func value(_ operand: JSONValue, _ thing: Thing) -> JSONValue {
        guard case .array(let elements) = operand, elements.first == "property", let name = elements.last?.text,
            let property = Thing.Property(name: name)
        else { return operand }
        return thing.value(of: property)
    }
}
