public import RegistrarEvents

/// Which properties are wanted, of those there are: `["id","status"]`, or `id,status` in one text.
public struct Mask<Property: FilterProperty>: Hashable, Sendable {
    private var kept: Set<Property>

    /// - Throws: when something is no property's name, or there is none.
    public init(_ value: JSONValue) throws(FilterError) {
        var kept: Set<Property> = []
        for (index, name) in try value.names("names of properties").enumerated() {
            guard let property = Property(name: name) else {
                throw FilterError(at: [index], expected: "one of \(Property.names)", found: .string(name))
            }
            kept.insert(property)
        }
        self.kept = kept
    }

    public func keeps(_ property: Property) -> Bool { kept.contains(property) }

    /// The same mask, which does not keep this property.
    public func without(_ property: Property) -> Mask {
        var mask = self
        mask.kept.remove(property)
        return mask
    }
}

extension JSONWriter {
    /// Writes the members that something has and a mask keeps, without braces, in the order of `allCases`.
    public mutating func members<Property>(of subject: some Filterable<Property>, keeping mask: Mask<Property>?) {
        var isFirst = true
        for property in Property.allCases where mask?.keeps(property) ?? true {
            let value = subject.value(of: property)
            guard value != .null else { continue }
            if !isFirst { raw(",") }
            isFirst = false
            string(property.rawValue)
            raw(":")
            self.value(value)
        }
    }
}

extension JSONValue {
    /// Most names of a list.
    private static var maximumNames: Int { 64 }

    /// The names of a list, which may also be written as one text with commas.
    func names(_ what: String) throws(FilterError) -> [String] {
        var names: [String] = []
        switch self {
        case .string(let text):
            names = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        case .array(let elements):
            for (index, element) in elements.enumerated() {
                guard case .string(let name) = element else {
                    throw FilterError(at: [index], expected: "a name", found: element)
                }
                names.append(name)
            }
        case .null, .boolean, .integer, .number, .object: break
        }
        guard (1...Self.maximumNames).contains(names.count) else {
            throw FilterError(at: [], expected: "1 to \(Self.maximumNames) \(what)", found: self)
        }
        return names
    }
}
