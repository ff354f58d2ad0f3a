package import NIOCore
package import RegistrarEvents

/// Messages of the websocket and answers over HTTP, whose form depends on the moment.
extension JSONValue {
    /// Deepest nesting of what a server may say.
    private static let maximumDepth = 64

    /// Takes apart `["method", {…}]`; nil when it is nothing of the kind.
    package static func message(_ buffer: ByteBuffer) -> (method: String, fields: [String: JSONValue])? {
        guard let array = decode(buffer)?.array, array.count == 2, let method = array[0].text,
            let fields = array[1].object
        else { return nil }
        return (method, fields)
    }

    /// Nil when the bytes are not JSON.
    package static func decode(_ buffer: ByteBuffer) -> JSONValue? {
        // Nil says all there is to say.
        try? JSONValue(parsing: buffer.readableBytesView, maximumDepth: maximumDepth)
    }
}
