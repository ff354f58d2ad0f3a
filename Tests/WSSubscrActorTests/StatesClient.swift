import Foundation
import RegistrarEvents
import Testing

@testable import WSSubscrActor

/// A client that keeps who is online from what it is sent, and checks that each notice fits what it knew.
struct StatesClient {
    struct Notice: Equatable {
        var position: Position
        /// `clear`, or the operation of a `data_changed`.
        var what: String
        var id = ""
        var status = ""
    }

    let id: SubscriberID
    var answers: [SubscribeAnswer] = []
    var seen: [Notice] = []
    var online: Set<String> = []
    /// Whether it began with everything that was online, so that what it knows is all there is.
    var knowsAll = false
    var lostAfter: Position?
    var owesReady = false
    /// Whether the last slice is not the last.
    var isBetweenSlices = false
    var dropsPushed = false

    init(_ number: UInt32) { id = SubscriberID(lane: 0, connection: 1, number: number) }

    /// Where it would resume: the last position it was told.
    var position: Position? {
        if let last = seen.last { return last.position }
        guard case .accepted(let position) = answers.last else { return nil }
        return position
    }

    mutating func take(_ directives: [Follower.Directive]) throws {
        for case .deliver(let delivery) in directives where delivery.to.contains(id) {
            switch delivery.content {
            case .answer(let answer): answers.append(answer)
            case .ended: Issue.record("the subscription ended")
            case .events(let batch, .pushed):
                if dropsPushed || lostAfter != nil {
                    lostAfter = lostAfter ?? batch.after
                } else {
                    #expect(!owesReady, "pushed between slices")
                    try take(batch)
                }
            case .events(let batch, .pulled(let more)):
                lostAfter = nil
                owesReady = more
                isBetweenSlices = more
                try take(batch)
            }
        }
    }

    private mutating func take(_ batch: EventBatch) throws {
        for tail in batch.tails {
            let notice = try read(tail)
            if let last = seen.last?.position, notice.what != "clear" {
                #expect(notice.position >= last, "\(notice) after \(last)")
            }
            seen.append(notice)
        }
    }

    private mutating func read(_ tail: [UInt8]) throws -> Notice {
        let bytes = EventJSON.head(id: Array("1".utf8)) + tail
        let message = try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [Any])
        let fields = try #require(message.last as? [String: Any])
        let event = try #require(fields["event"] as? [String: Any])
        let data = try #require(event["data"] as? [String: Any])
        let position = Position(
            epoch: try #require(fields["epoch"] as? UInt64), seq: try #require(fields["seq"] as? UInt64))
        if event["type"] as? String == "clear" {
            #expect(
                ["snapshot", "resync"].contains(data["reason"] as? String), "the log's own is none of its business")
            online = []
            knowsAll = true
            return Notice(position: position, what: "clear")
        }
        #expect(event["class"] as? String == "modelevents" && event["type"] as? String == "data_changed")
        let entity = try #require(data["entity"] as? [String: String])
        let before = data["entity0"] as? [String: String]
        let name = try #require(entity["id"])
        let operation = try #require(data["operation"] as? Int)
        #expect(data["eid"] as? String == name && entity["username"] == name)
        #expect((operation == 1) == (before == nil) && (operation == 1) == (fields["replay"] as? Bool == true))
        let isOnline = entity["status"] == "online"
        if knowsAll {
            #expect(isOnline != online.contains(name), "\(name) is told to be \(entity), which was known")
            if let before { #expect((before["status"] == "online") == online.contains(name)) }
        }
        if isOnline { online.insert(name) } else { online.remove(name) }
        return Notice(position: position, what: "\(operation)", id: name, status: entity["status"] ?? "")
    }

    /// What the socket says when it has room: nil when nothing.
    mutating func ready() -> Follower.Event? {
        if let lost = lostAfter { return .ready(id, lostAfter: lost) }
        guard owesReady else { return nil }
        owesReady = false
        return .ready(id, lostAfter: nil)
    }
}
