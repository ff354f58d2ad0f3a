public import RegistrarEvents

/// A condition on the properties of something, in the platform's prefix form: `["==",["property","status"],"online"]`.
///
/// The form is the platform's; which operators there are, and how values of different kinds compare, is our own
/// decision (`docs/filters.md`).
///
/// It is compiled once, into tests that each know where to go from either outcome. `and`, `or` and `not` are only in
/// how the tests are linked: to evaluate takes a loop, no recursion and no allocation, and no test too many.
public struct Filter<Property: FilterProperty>: Hashable, Sendable {
    /// Each leads to earlier ones only, so that evaluating ends.
    private var steps: [Step] = []
    private var entry = Exit.accept

    private struct Step: Hashable, Sendable {
        let test: FilterTest<Property>
        let ifTrue: Exit
        let ifFalse: Exit
    }

    private enum Exit: Hashable, Sendable {
        case accept
        case reject
        case step(Int)
    }

    /// Reads an expression.
    /// - Throws: what was expected, what came, and where.
    public init(_ expression: JSONValue) throws(FilterError) {
        var parser = FilterParser<Property>()
        let condition = try parser.condition(expression, at: [])
        entry = emit(condition, ifTrue: .accept, ifFalse: .reject)
    }

    /// Whether the condition holds.
    public func matches(_ subject: some Filterable<Property>) -> Bool {
        var exit = entry
        while true {
            switch exit {
            case .accept: return true
            case .reject: return false
            case .step(let index):
                let step = steps[index]
                exit = step.test.holds(for: subject) ? step.ifTrue : step.ifFalse
            }
        }
    }

    /// Emits the steps that decide a condition, the last one first.
    /// - Returns: where to begin.
    private mutating func emit(_ condition: FilterCondition<Property>, ifTrue: Exit, ifFalse: Exit) -> Exit {
        switch condition {
        case .constant(let value): return value ? ifTrue : ifFalse
        case .not(let inner): return emit(inner, ifTrue: ifFalse, ifFalse: ifTrue)
        case .all(let parts): return parts.reversed().reduce(ifTrue) { emit($1, ifTrue: $0, ifFalse: ifFalse) }
        case .any(let parts): return parts.reversed().reduce(ifFalse) { emit($1, ifTrue: ifTrue, ifFalse: $0) }
        case .test(let test):
            steps.append(Step(test: test, ifTrue: ifTrue, ifFalse: ifFalse))
            return .step(steps.count - 1)
        }
    }
}

/// How large a filter may be.
public enum FilterLimits {
    /// Deepest nesting of conditions.
    public static let maximumDepth = 8
    /// Most conditions: each costs when an event is matched.
    public static let maximumConditions = 64
    /// Most constants, those in lists included: they cost memory only.
    public static let maximumConstants = 1_000
}
