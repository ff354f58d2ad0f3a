import Foundation

/// Whether all members of a JSON object have names of their own.
///
/// A decoder silently takes one of two equal names, and which one is no two decoders' agreement: what signed the token
/// may have looked at the other. Source: RFC 7515 section 4 and RFC 7519 section 4 let such tokens be refused.
enum UniqueNames {
    /// - Parameter encoded: an object that a decoder has read, in base64url. Only the outermost names are looked at;
    ///   one that is escaped counts as a double, since no claim needs that.
    static func hold(in encoded: Substring) -> Bool {
        guard let json = decode(encoded) else { return false }
        var names: Set<Data> = []
        var depth = 0
        var isNameNext = false
        var index = json.startIndex
        while index < json.endIndex {
            switch json[index] {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                isNameNext = depth == 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            case UInt8(ascii: ","): isNameNext = depth == 1
            case UInt8(ascii: "\""):
                let (text, isEscaped, next) = string(in: json, from: index + 1)
                if isNameNext {
                    guard !isEscaped, names.insert(text).inserted else { return false }
                    isNameNext = false
                }
                index = next
                continue
            default: break
            }
            index += 1
        }
        return true
    }

    /// The string that begins at an index, whether anything in it is escaped, and where what follows its end begins.
    private static func string(in json: Data, from start: Int) -> (text: Data, isEscaped: Bool, next: Int) {
        var index = start
        var isEscaped = false
        while index < json.endIndex, json[index] != UInt8(ascii: "\"") {
            if json[index] == UInt8(ascii: "\\") {
                isEscaped = true
                index += 1
            }
            index += 1
        }
        let end = min(index, json.endIndex)
        return (Data(json[start..<end]), isEscaped, end + 1)
    }

    private static func decode(_ text: Substring) -> Data? {
        var base64 = String(text).replacing("-", with: "+").replacing("_", with: "/")
        base64 += String(repeating: "=", count: (4 - base64.utf8.count % 4) % 4)
        return Data(base64Encoded: base64)
    }
}
