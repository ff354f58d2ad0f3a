/// Builds an XML document piece by piece.
///
/// Only `literal` can open or close anything: what comes from a device has the characters that mean something escaped,
/// and those that XML 1.0 does not have (section 2.2) replaced by spaces.
struct XMLWriter {
    private(set) var bytes: [UInt8] = []

    /// Text of the program, taken as it is.
    mutating func literal(_ text: StaticString) {
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    mutating func text(_ text: String) {
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": literal("&amp;")
            case "<": literal("&lt;")
            case ">": literal("&gt;")
            case "\"": literal("&quot;")
            case "\u{FFFE}", "\u{FFFF}": literal(" ")
            case "\u{0}"..."\u{1F}": literal(" ")
            default: bytes.append(contentsOf: String(scalar).utf8)
            }
        }
    }

    /// ` name="value"`
    mutating func attribute(_ name: StaticString, _ value: String) {
        literal(" ")
        literal(name)
        literal("=\"")
        text(value)
        literal("\"")
    }

    mutating func append(_ other: [UInt8]) { bytes.append(contentsOf: other) }
}
