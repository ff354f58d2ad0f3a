import RegistrarEvents

/// Which part of a list is wanted, and in which form: what `filter`, `mask`, `order`, `offset` and `limit` of a request
/// say.
public struct ListQuery<Property: FilterProperty>: Hashable, Sendable {
    public var filter: Filter<Property>?
    public var mask: Mask<Property>?
    public var order: Order<Property>?
    public var offset = 0
    public var limit: Int

    /// Why a query was not understood.
    public struct Fault: Error, Hashable, Sendable {
        public let message: String
    }

    /// Most elements of one answer.
    public static var maximumLimit: Int { 10_000 }
    /// How many elements there are in an answer unless the request says otherwise.
    public static var defaultLimit: Int { 1_000 }

    /// Everything, as it comes, up to the default limit.
    public init() { limit = Self.defaultLimit }

    /// Reads the parameters of a request: `filter` as JSON, `mask` and `order` as JSON or as names with commas between
    /// them, `offset` and `limit` as numbers.
    /// - Parameter parameter: the text of the parameter of that name; nil when the request has none.
    public init(reading parameter: (String) -> String?) throws(Fault) {
        self.init()
        filter = try Self.read("filter", parameter) { (value) throws(FilterError) in try Filter(value) }
        mask = try Self.read("mask", parameter) { (value) throws(FilterError) in try Mask(value) }
        order = try Self.read("order", parameter) { (value) throws(FilterError) in try Order(value) }
        offset = try Self.number("offset", parameter, in: 0...Int(Int32.max)) ?? 0
        limit = try Self.number("limit", parameter, in: 1...Self.maximumLimit) ?? Self.defaultLimit
    }

    /// What is asked for of these. Without an order nothing is looked at beyond the last one asked for.
    public func select<Subject: Filterable<Property>>(from subjects: some Sequence<Subject>) -> [Subject] {
        let matching = subjects.lazy.filter { filter?.matches($0) ?? true }
        guard let order else { return Array(matching.dropFirst(offset).prefix(limit)) }
        return Array(order.sorted(Array(matching)).dropFirst(offset).prefix(limit))
    }

    private static func read<Value>(
        _ name: String, _ parameter: (String) -> String?, _ make: (JSONValue) throws(FilterError) -> Value
    ) throws(Fault) -> Value? {
        guard let text = parameter(name) else { return nil }
        let value: JSONValue
        do {
            let isJSON = name == "filter" || text.hasPrefix("[")
            value =
                isJSON ? try JSONValue(parsing: text.utf8, maximumDepth: FilterLimits.maximumDepth + 2) : .string(text)
        } catch {
            throw Fault(message: "`\(name)` \(error)")
        }
        do {
            return try make(value)
        } catch {
            throw Fault(message: error.message(for: name))
        }
    }

    private static func number(
        _ name: String, _ parameter: (String) -> String?, in range: ClosedRange<Int>
    ) throws(Fault) -> Int? {
        guard let text = parameter(name) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw Fault(message: "`\(name)` must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }
}
