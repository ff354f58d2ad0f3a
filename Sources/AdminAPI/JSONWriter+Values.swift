import Foundation
import HTTPTypes
import Hummingbird
import RegistrarEvents

extension JSONWriter {
    /// An array, each element written by `body`.
    init<Element>(array elements: [Element], _ body: (inout JSONWriter, Element) -> Void) {
        self.init()
        raw("[")
        for (index, element) in elements.enumerated() {
            if index > 0 { raw(",") }
            body(&self, element)
        }
        raw("]")
    }

    /// A point of time as ISO 8601 in UTC; null for 0, which stands for "never".
    mutating func date(milliseconds: Int64) {
        guard milliseconds > 0 else { return raw("null") }
        string(Date(timeIntervalSince1970: Double(milliseconds) / 1_000).ISO8601Format())
    }

    mutating func optional(_ text: String?) {
        if let text { string(text) } else { raw("null") }
    }
}

extension Response {
    /// For values whose JSON form is declared where they are.
    init(encoding value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        self.init(
            status: .ok, headers: [.contentType: "application/json", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: try encoder.encode(value))))
    }
}
