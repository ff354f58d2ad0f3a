import MessagePack
import Testing

/// Vectors are from the format table of the MessagePack specification.
struct MessagePackTests {
    @Test(
        arguments: [
            (0, [0x00]), (127, [0x7f]), (128, [0xcc, 0x80]), (255, [0xcc, 0xff]), (256, [0xcd, 0x01, 0x00]),
            (65_535, [0xcd, 0xff, 0xff]), (65_536, [0xce, 0, 1, 0, 0]),
            (4_294_967_295, [0xce, 0xff, 0xff, 0xff, 0xff]),
            (4_294_967_296, [0xcf, 0, 0, 0, 1, 0, 0, 0, 0]), (-1, [0xff]), (-32, [0xe0]), (-33, [0xd0, 0xdf]),
            (-128, [0xd0, 0x80]), (-129, [0xd1, 0xff, 0x7f]), (-32_768, [0xd1, 0x80, 0x00]),
            (-32_769, [0xd2, 0xff, 0xff, 0x7f, 0xff]),
            (-2_147_483_649, [0xd3, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]),
            (.max, [0xcf, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), (.min, [0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        ] as [(Int64, [UInt8])])
    func integersTakeTheirShortestForm(value: Int64, bytes: [UInt8]) throws {
        #expect(encoded { $0.integer(value) } == bytes)
        #expect(try MessagePack.decode(bytes) { value throws(MessagePackError) in try value.integer() } == value)
        if value >= 0 {
            #expect(encoded { $0.unsigned(UInt64(value)) } == bytes)
        } else {
            expect(.unexpected("an unsigned integer"), from: bytes) { value throws(MessagePackError) in
                _ = try value.unsigned()
            }
        }
    }

    @Test func unsignedBeyondSignedIsReadAsUnsignedOnly() throws {
        let bytes = encoded { $0.unsigned(.max) }
        #expect(bytes == [0xcf] + [UInt8](repeating: 0xff, count: 8))
        #expect(try MessagePack.decode(bytes) { value throws(MessagePackError) in try value.unsigned() } == .max)
        expect(.unexpected("a signed integer"), from: bytes) { value throws(MessagePackError) in _ = try value.integer()
        }
    }

    /// A sender may use a longer form than needed, signed or not.
    @Test(
        arguments: [
            [0xcc, 0x05], [0xcd, 0, 5], [0xce, 0, 0, 0, 5], [0xcf, 0, 0, 0, 0, 0, 0, 0, 5],
            [0xd0, 5], [0xd1, 0, 5], [0xd2, 0, 0, 0, 5], [0xd3, 0, 0, 0, 0, 0, 0, 0, 5],
        ] as [[UInt8]])
    func longFormsAreRead(bytes: [UInt8]) throws {
        #expect(try MessagePack.decode(bytes) { value throws(MessagePackError) in try value.unsigned() } == 5)
        #expect(try MessagePack.decode(bytes) { value throws(MessagePackError) in try value.integer() } == 5)
    }

    @Test(arguments: [0, 1, 31, 32, 255, 256, 65_535, 65_536])
    func stringsAndBinaryOfEveryHeaderReadBack(count: Int) throws {
        let text = String(repeating: "x", count: count)
        let string = encoded { $0.string(text) }
        let header: [UInt8] =
            switch count {
            case ..<32: [0xa0 | UInt8(count)]
            case ..<256: [0xd9, UInt8(count)]
            case ..<65_536: [0xda, UInt8(count >> 8), UInt8(count & 0xff)]
            default: [0xdb, 0, 1, 0, 0]
            }
        #expect(string.starts(with: header) && string.count == header.count + count)
        #expect(try MessagePack.decode(string) { value throws(MessagePackError) in try value.string() } == text)

        let data = [UInt8](repeating: 0xc1, count: count)
        let binary = encoded { $0.binary(data) }
        #expect(binary[0] == (count < 256 ? 0xc4 : count < 65_536 ? 0xc5 : 0xc6))
        #expect(try MessagePack.decode(binary) { value throws(MessagePackError) in try value.binary() } == data)
        #expect(encoded { $0.binary(data[...]) } == binary)
    }

    @Test func simpleValuesMatchTheSpecification() throws {
        #expect(encoded { $0.null() } == [0xc0])
        #expect(encoded { $0.boolean(false) } == [0xc2])
        #expect(encoded { $0.boolean(true) } == [0xc3])
        #expect(encoded { $0.double(1.5) } == [0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0])
        #expect(try MessagePack.decode([0xc0]) { value throws(MessagePackError) in value.isNull })
        #expect(try MessagePack.decode([0xc3]) { value throws(MessagePackError) in try value.boolean() })
        #expect(
            try MessagePack.decode([0xca, 0x3f, 0xc0, 0, 0]) { value throws(MessagePackError) in try value.double() }
                == 1.5)
        #expect(encoded { $0.map(2) } == [0x82])
        #expect(encoded { $0.array(15) } == [0x9f])
        #expect(encoded { $0.array(16) } == [0xdc, 0, 16])
        #expect(encoded { $0.array(65_536) } == [0xdd, 0, 1, 0, 0])
    }

    @Test func mapsKeepTheirOrder() throws {
        let bytes = encoded {
            $0.map(2)
            $0.string("b")
            $0.integer(2)
            $0.string("a")
            $0.raw([0x01])
        }
        try MessagePack.decode(bytes) { value throws(MessagePackError) in
            let map = try value.map()
            #expect(map.count == 2)
            #expect(try map.entry(0).key.string() == "b")
            #expect(try map.entry(1).value.integer() == 1)
        }
    }

    @Test func fieldsThatAnOlderSenderLeavesOutTakeTheirDefault() throws {
        let bytes = encoded {
            $0.array(2)
            $0.unsigned(7)
            $0.null()
        }
        try MessagePack.decode(bytes) { value throws(MessagePackError) in
            let array = try value.array()
            #expect(try array.unsigned(0, default: 1) == 7)
            #expect(try array.unsigned(1, default: 1) == 1)
            #expect(try array.string(2, default: "none") == "none")
            #expect(try array.strings(2, default: []) == [])
            #expect(try array.binary(9, default: [1]) == [1])
        }
        expect(.missing(2), from: bytes) { value throws(MessagePackError) in _ = try value.array().integer(2) }
    }

    @Test func writerIsReusable() {
        var writer = MessagePackWriter(reserving: 0)
        for index in 0..<10_000 { writer.integer(Int64(index)) }
        writer.removeAll()
        #expect(writer.count == 0)
        writer.string("again")
        #expect(writer.count == 6)
        #expect(writer.finish() == [0xa5] + Array("again".utf8))
    }
}

func encoded(_ build: (inout MessagePackWriter) -> Void) -> [UInt8] {
    var writer = MessagePackWriter()
    build(&writer)
    return writer.finish()
}

func expect(
    _ expected: MessagePackError, from bytes: [UInt8], sourceLocation: SourceLocation = #_sourceLocation,
    _ body: (MessagePackValue) throws(MessagePackError) -> Void
) {
    do throws(MessagePackError) {
        try MessagePack.decode(bytes, body)
        Issue.record("read without an error", sourceLocation: sourceLocation)
    } catch {
        #expect(error == expected, sourceLocation: sourceLocation)
    }
}
