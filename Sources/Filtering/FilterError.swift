import RegistrarEvents

/// What is wrong in a filter, a mask or an order, and where.
public struct FilterError: Error, Hashable, Sendable {
    /// Indexes that lead to it from the whole.
    public let place: [Int]
    public let expected: String
    /// What came, as JSON, cut short.
    public let found: String

    /// Longest text of a client's that is given back.
    static let excerptLength = 60

    public init(at place: [Int] = [], expected: String, found: String) {
        self.place = place
        self.expected = expected
        self.found = found
    }

    init(at place: [Int], expected: String, found value: JSONValue) {
        var json = JSONWriter()
        json.value(value)
        let text = String(decoding: json.bytes, as: UTF8.self)
        let excerpt = text.count <= Self.excerptLength ? text : text.prefix(Self.excerptLength) + "…"
        self.init(at: place, expected: expected, found: excerpt)
    }

    /// - Parameter name: of the parameter, which the text begins with.
    public func message(for name: String) -> String {
        let place = place.map { "[\($0)]" }.joined()
        return "`\(name)\(place)`: expected \(expected), found \(found)"
    }
}
