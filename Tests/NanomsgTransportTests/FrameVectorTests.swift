import ClusterRuntime
import Foundation
import Testing

@testable import NanomsgTransport

/// Frames made by an independent program (`Tests/vectors/frame.py`) from `docs/wire.md`, compared byte by byte.
struct FrameVectorTests {
    struct Vector: Decodable {
        struct Life: Decodable {
            var name: String
            var incarnation: UInt64
            var nonce: String

            var id: NodeID { NodeID(name: NodeName(name), incarnation: incarnation) }
        }
        var type: String
        var secret: String?
        var sender: Life
        var receiver: Life
        var entropy: String
        var frame: String
        var echo: String?
        var wantsAnswer: Bool?
        var counter: UInt64?
        var body: String?
    }

    static let vectors: [Vector] = {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../vectors/frames.json")
        do {
            return try JSONDecoder().decode([Vector].self, from: Data(contentsOf: file))
        } catch {
            fatalError("\(file.path()): \(error)")
        }
    }()

    @Test func theFileHasEveryKindOfFrame() {
        #expect(Set(Self.vectors.map { "\($0.type) \($0.secret == nil)" }).count == 4)
    }

    @Test(arguments: vectors.indices)
    func theSwiftCodeMakesTheSameBytes(index: Int) throws {
        let vector = Self.vectors[index]
        let crypto = SessionCrypto(secret: vector.secret.map(bytes))
        if let echo = vector.echo, let wantsAnswer = vector.wantsAnswer {
            let hello = Session.Hello(
                nonce: bytes(vector.sender.nonce), echo: bytes(echo), receiver: vector.receiver.id.name,
                wantsAnswer: wantsAnswer)
            let header = FrameHeader(kind: .hello, sealed: vector.secret != nil, sender: vector.sender.id).encoded
            let frame = crypto.sealHello(hello.encoded, header: header, nonce: bytes(vector.entropy))
            #expect(hex(frame) == vector.frame)
        } else {
            let key = crypto.directionKey(
                sender: vector.sender.id.name, senderNonce: bytes(vector.sender.nonce),
                receiver: vector.receiver.id.name, receiverNonce: bytes(vector.receiver.nonce))
            let header = FrameHeader(
                kind: .data, sealed: vector.secret != nil, sender: vector.sender.id, keyID: key.id,
                counter: try #require(vector.counter))
            #expect(hex(key.seal(bytes(try #require(vector.body)), header: header)) == vector.frame)
        }
    }

    /// The receiver of the vectors takes all of them, in the order of the file.
    @Test(arguments: [true, false])
    func theSwiftCodeReadsThem(sealed: Bool) throws {
        let vectors = Self.vectors.filter { ($0.secret != nil) == sealed }
        let first = try #require(vectors.first)
        var table = SessionTable(
            node: first.receiver.id, peers: [first.sender.id.name], secret: first.secret.map(bytes),
            nonce: bytes(first.receiver.nonce), maximumFrame: 1 << 20)
        for vector in vectors {
            bytes(vector.frame).withUnsafeBytes { frame in
                switch table.examine(frame) {
                case .hello(let peer, let sentAt, let hasRestarted):
                    #expect(vector.type == "hello" && peer == first.sender.id && sentAt == nil && !hasRestarted)
                case .dropped(let reason, _): Issue.record("\(vector.type) \(vector.counter ?? 0) dropped: \(reason)")
                case .data(let header, let key, let length):
                    let opened = key.open(
                        UnsafeRawBufferPointer(rebasing: frame[length...]),
                        header: UnsafeRawBufferPointer(rebasing: frame[..<length]))
                    #expect(opened.map(hex) == vector.body)
                    #expect(table.accept(header) == nil)
                    let batch = try? MessageBatch.decode((opened ?? [])[...])
                    #expect(batch?.messages == [.lead(Lead(term: 7, echo: -1))] && batch?.skipped == 1)
                }
            }
        }
        #expect(table.sendingKeyID(to: first.sender.id.name) != nil)
    }
}

private func bytes(_ hex: String) -> [UInt8] {
    stride(from: 0, to: hex.count, by: 2).map { offset in
        let start = hex.index(hex.startIndex, offsetBy: offset)
        return UInt8(hex[start..<hex.index(start, offsetBy: 2)], radix: 16)!
    }
}

private func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
