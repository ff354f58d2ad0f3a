/// Keeps the YAML parser itself safe: it expands aliases and hashes the keys, so a handful of nested aliases as a key
/// can cost hours ("billion laughs"). Sixteen cannot, and no file of ours needs one.
///
/// It does not know quotes and comments, so that nobody can hide an alias from it by those: a sign counts unless what
/// stands before or after it makes sure that it is none.
package enum YAMLAliases {
    package static let tooMany = "too many `*` signs that could be YAML aliases"
    package static let expected = "the values written out, without aliases"

    private static let maximum = 16

    /// The line of the first sign that is one too many; nil when the text may be parsed.
    package static func lineOfTooMany(in text: String) -> Int? {
        var candidates = 0
        var line = 1
        var beforeLast = UInt8(ascii: "\n")
        var last = UInt8(ascii: "\n")
        for byte in text.utf8 {
            if last == UInt8(ascii: "*"), !endsWord(beforeLast), beginsName(byte) { candidates += 1 }
            if candidates > maximum { return line }
            if byte == UInt8(ascii: "\n") { line += 1 }
            (beforeLast, last) = (last, byte)
        }
        return nil
    }

    /// Whether a value that stands in front goes on: it is not over, and nothing else begins. After a quote that closes
    /// a value an alias would be an error of its own.
    private static func endsWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "*"), UInt8(ascii: "/"), UInt8(ascii: "+"),
            UInt8(ascii: "."), UInt8(ascii: "\""), UInt8(ascii: "'"):
            true
        default: false
        }
    }

    /// Source: libyaml, `yaml_parser_scan_anchor`: the parser takes letters, digits, `-` and `_` for an alias's name,
    /// and nothing else.
    private static func beginsName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
