import Testing

@testable import SIP

@Suite struct ByteSetTests {
    private static let alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    private static let unreserved = alphanumeric + "-_.!~*'()"

    @Test func bitsAreThoseOfTheCharacters() {
        expect(.alphanumeric, Self.alphanumeric)
        expect(.token, Self.alphanumeric + "-.!%*_+`'~")
        expect(.unreserved, Self.unreserved)
        expect(.reserved, ";/?:@&=+$,[]")
        expect(.user, Self.unreserved + "&=+$,;?/%#")
        expect(.password, Self.unreserved + "&=+$,%")
        expect(.uriParameter, Self.unreserved + "[]/:&+$%")
        expect(.uriHeader, Self.unreserved + "[]/?:+$%")
        expect(.host, Self.alphanumeric + "-._")
        expect(.ipv6, "0123456789abcdefABCDEF:.")
        expect(.scheme, Self.alphanumeric + "+-.")
        expect(.telephone, "+0123456789abcdefABCDEF*#-.()")
        expect(.parameterEnd, ";,\"<> \u{7F}" + String(String.UnicodeScalarView((0..<32).map(Unicode.Scalar.init))))
        expect(.opaque, Self.unreserved + ";/?:@&=+$,[]#%")
    }

    private func expect(_ set: ByteSet, _ characters: String, sourceLocation: SourceLocation = #_sourceLocation) {
        let wanted = Set(characters.utf8)
        for byte in UInt8.min...UInt8.max {
            #expect(set.contains(byte) == wanted.contains(byte), "byte \(byte)", sourceLocation: sourceLocation)
        }
    }
}
