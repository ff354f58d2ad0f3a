import ClusterRuntime
import Foundation
import MessagePack
import RegistrarEvents

@testable import NanomsgTransport

extension FuzzTarget {
    /// The body of a frame: what is read from it is written, and read again as the same.
    static let messages = FuzzTarget("messages", maximumLength: 8_192, seeds: WireSeeds.bodies) { input in
        let decoded: [Message]
        do throws(MessagePackError) {
            decoded = try MessageBatch.decode(input[...]).messages
        } catch {
            return
        }
        for message in decoded { try WirePromises.unpackContacts(of: message) }
        let again = try MessageBatch.decode(WirePromises.body(decoded)[...])
        try promise(again.messages == decoded && again.skipped == 0, "another message after a round trip")
    }

    /// Frames as they come from the network, to a node with a secret and to one without: the first byte says which, and
    /// whether the rest is a frame or is sealed into one first.
    static let frame = FuzzTarget("frame", seeds: WireSeeds.frames) { input in
        guard let mode = input.first else { return }
        var receiver = FramePeer(name: "ws-1", incarnation: 9, isSealed: mode & 1 == 1)
        var sender = FramePeer(name: "sr-1", incarnation: 7, isSealed: mode & 1 == 1)
        let rest = Array(input.dropFirst())
        switch mode >> 1 & 3 {
        case 0: try receiver.take(rest, withoutOpening: mode & 1 == 1)
        case 1: try receiver.take(sender.hello(with: rest))
        case 2:
            FramePeer.introduce(&sender, &receiver)
            let frame = try sender.data(rest)
            try promise(try receiver.take(frame) == rest, "what was sealed does not come out")
            try promise(try receiver.take(frame) == nil, "a frame was taken twice")
        default:
            // A frame that is right but for one byte.
            FramePeer.introduce(&sender, &receiver)
            var frame = try sender.data(Array(rest.dropFirst(2)))
            guard rest.count > 2, rest[1] != 0 else { return }
            frame[Int(rest[0]) % frame.count] ^= rest[1]
            let opened = try receiver.take(frame)
            try promise(mode & 1 == 0 || opened == nil, "a changed frame was opened")
        }
    }
}

/// One side of a session, with nonces that are the same in every run.
private struct FramePeer {
    let id: NodeID
    let other: NodeName
    private var table: SessionTable
    private let crypto: SessionCrypto

    init(name: String, incarnation: UInt64, isSealed: Bool) {
        id = NodeID(name: NodeName(name), incarnation: incarnation)
        other = NodeName(name == "ws-1" ? "sr-1" : "ws-1")
        let secret: [UInt8]? = isSealed ? Array(repeating: 7, count: 32) : nil
        crypto = SessionCrypto(secret: secret)
        table = SessionTable(
            node: id, peers: [other], secret: secret, nonce: Array(repeating: UInt8(incarnation), count: 32),
            maximumFrame: 8 << 20)
    }

    static func introduce(_ one: inout FramePeer, _ two: inout FramePeer) {
        for _ in 0..<2 {
            two.examine(one.ownHello())
            one.examine(two.ownHello())
        }
    }

    private mutating func ownHello() -> [UInt8] {
        let frame = table.hello(to: other, entropy: Array(repeating: 1, count: 12)) ?? []
        table.helloSent(to: other, at: .distantPast)
        return frame
    }

    private mutating func examine(_ frame: [UInt8]) { _ = frame.withUnsafeBytes { table.examine($0) } }

    /// A hello of this peer's with something else in it.
    func hello(with body: [UInt8]) -> [UInt8] {
        let header = FrameHeader(kind: .hello, sealed: crypto.sealed, sender: id).encoded
        return crypto.sealHello(body, header: header, nonce: Array(repeating: 2, count: 12))
    }

    mutating func data(_ body: [UInt8]) throws -> [UInt8] {
        guard let ticket = table.ticket(to: other) else { throw Broken("no session after two hellos") }
        return ticket.seal(body)
    }

    /// Takes a frame as the receive thread does.
    /// - Parameter withoutOpening: whether no frame may open: nobody has sealed one.
    /// - Returns: the body; nil when the frame is dropped or is a hello.
    @discardableResult
    mutating func take(_ frame: [UInt8], withoutOpening: Bool = false) throws -> [UInt8]? {
        if case .success((let header, let length)) = frame.withUnsafeBytes({ FrameHeader.parse($0) }) {
            try promise(header.encoded == Array(frame[..<length]), "another header after a round trip")
        }
        guard case .data(let header, let key, let length) = frame.withUnsafeBytes({ table.examine($0) }) else {
            return nil
        }
        let opened = frame.withUnsafeBytes { bytes in
            key.open(
                UnsafeRawBufferPointer(rebasing: bytes[length...]),
                header: UnsafeRawBufferPointer(rebasing: bytes[..<length]))
        }
        guard let opened, table.accept(header) == nil else { return nil }
        try promise(!withoutOpening, "a frame that nobody sealed was opened")
        return opened
    }
}

private enum WirePromises {
    static func body(_ messages: [Message]) -> [UInt8] {
        var writer = MessagePackWriter()
        writer.array(messages.count)
        for message in messages { message.encode(into: &writer) }
        return writer.finish()
    }

    /// What is inside a contact is read at the edges alone: nothing has looked at it before.
    static func unpackContacts(of message: Message) throws {
        switch message {
        case .append(let append): for entry in append.entries { try EdgePromises.unpack(entry) }
        case .chunk(let chunk): for live in chunk.contacts { EdgePromises.unpack(live.contact) }
        case .request(let request):
            if case .register(let contact, _) = request.operation { EdgePromises.unpack(contact) }
        case .reply(let reply):
            if case .page(let contacts, _, _) = reply.result {
                for live in contacts { EdgePromises.unpack(live.contact) }
            }
        case .heartbeat, .lead, .assignments, .copies, .replicaChange, .handOver, .follow, .topology, .retire: break
        }
    }
}

/// What the edges do with a contact that came from another node.
enum EdgePromises {
    static func unpack(_ contact: PackedContact) {
        // Each reads or refuses.
        _ = try? contact.wasChanged(after: 1, of: "call")
        _ = try? contact.withSIPTexts { $0.regID }
        guard let registration = try? contact.registration() else { return }
        _ = PackedContact(registration)
    }

    /// What subscribers are sent of an entry is JSON.
    static func unpack(_ entry: LogEntry) throws {
        if let contact = entry.change.contact { unpack(contact) }
        guard let domain = DomainName("demo.example"),
            // A contact that cannot be read is told to nobody.
            let tail = try? EventJSON.tail(of: entry, domain: domain, epoch: .max)
        else { return }
        let message = EventJSON.head(id: Array("1".utf8)) + tail
        let json = try? JSONValue(parsing: message, maximumDepth: 8)
        try promise(json?.array?.count == 2, "an event that is no JSON: \(String(decoding: message, as: UTF8.self))")
    }
}
