public import RegistrarEvents

/// The properties of a kind of thing that can be filtered, masked and ordered by: an enum of their names.
public protocol FilterProperty: RawRepresentable<String>, CaseIterable, Hashable, Sendable {
    /// - Parameter name: as a client wrote it; a dot leads into what is nested.
    /// - Returns: nil when there is no such property.
    init?(name: String)
}

extension FilterProperty {
    public init?(name: String) { self.init(rawValue: name) }

    /// The names, for a client that asked for another one.
    static var names: String { allCases.map { "`\($0.rawValue)`" }.joined(separator: ", ") }
}

/// Something with properties that a filter looks at.
public protocol Filterable<Property> {
    associatedtype Property: FilterProperty

    /// - Returns: `null` for what this one does not have. Never an object.
    func value(of property: Property) -> JSONValue
}
