import Filtering
import RegistrarEvents

/// Something with properties of every kind.
struct Thing: Filterable {
    enum Property: String, FilterProperty {
        case name
        case status
        case size
        case flag
        case tags
        case nested = "owner.name"
    }

    var values: [Property: JSONValue]

    init(_ values: [Property: JSONValue]) { self.values = values }

    func value(of property: Property) -> JSONValue { values[property] ?? .null }
}

func json(_ text: String) throws -> JSONValue { try JSONValue(parsing: text.utf8, maximumDepth: 64) }

extension Filter where Property == Thing.Property {
    init(_ text: String) throws { try self.init(try json(text)) }
}
