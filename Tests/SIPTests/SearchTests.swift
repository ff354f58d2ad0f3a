import Testing

@testable import SIP

@Suite struct SearchTests {
    /// Every length and place around the steps of 8 and 16, among bytes whose high bits could mislead the arithmetic.
    @Test func theFirstIsFoundWhereverItStands() {
        for length in 0..<50 {
            for filler in [UInt8(0x20), 0x41, 0x7F, 0x80, 0xFF] {
                let empty = [UInt8](repeating: filler, count: length)
                #expect(empty.span.controlCharacter(from: 0, before: length) == length)
                #expect(empty.span.first(0x22, or: 0x5C, from: 0, before: length) == length)
                for place in 0..<length {
                    var bytes = empty
                    for later in place..<length { bytes[later] = later % 2 == 0 ? 0x1F : 0x22 }
                    bytes[place] = 0x00
                    #expect(bytes.span.controlCharacter(from: 0, before: length) == place)
                    bytes[place] = 0x5C
                    #expect(bytes.span.first(0x5C, or: 0x22, from: 0, before: length) == place)
                    #expect(bytes.span.first(0x5C, or: 0x22, from: 0, before: place) == place)
                }
            }
        }
    }
}
