import Filtering
import Foundation
import NIOCore
import RegistrarEvents

@testable import ClusterClients
@testable import WebSocketGateway
@testable import WSSubscrActor

extension FuzzTarget {
    /// A websocket's text message: what is read of it is written, and read again as the same; every parameter a request
    /// may have is read or refused.
    static let requests = FuzzTarget(
        "requests", words: jsonWords,
        seeds: {
            [
                #"["setup",{"qid":1,"app":"desk","capabilities":["subscr"]}]"#,
                #"["login",{"qid":"a\u00e9\ud83d\ude00","login":"u1","pwd":"secret","td":"demo.example"}]"#,
                #"["login",{"qid":null,"rsessionid":"x"}]"#, #"["connection_info",{}]"#,
                #"["subscribe",{"qid":3,"id":"s","expires":300,"events":["registrarevents.*"],"objects":["u1",7],"#
                    + #""classpath":"/rest/v1/uc/sipuser_states","exargs":{"snapshot":true,"changes":false,"#
                    + #""after":{"epoch":3,"seq":17},"domain":"a.example","mask":["data.user_id"],"#
                    + #""filter":["in",["property","app"],["desk",1.5,-0.0,1e3,9223372036854775807]]}}]"#,
            ].map { Array($0.utf8) }
        },
        run: { input in
            try JSONPromises.roundTrip(input)
            // A message that is none is answered with its fault.
            guard let message = try? ClientMessage.parse(ByteBuffer(bytes: input)) else { return }
            JSONPromises.readAll(message.parameters)
            if let extra = try? message.parameters.object("exargs") { JSONPromises.readAll(extra) }
        })

    /// A filter, a mask and an order, and what the filter decides beside one that walks the expression.
    static let filter = FuzzTarget(
        "filter", maximumLength: 2_048, words: jsonWords + filterWords,
        seeds: {
            [
                #"["==",["property","data.user_id"],"u1"]"#, #"["and",["not",["<",["property","ttl"],60.5]],true]"#,
                #"["or",["in",["property","transport"],["udp",null,false]],["in","audio",["property","caps"]]]"#,
                #"["startswith",["property","contact_uri"],"sip:"]"#, #"["type","-ttl","data.login"]"#,
                #"[">=",["property","peer_port"],443]"#, #"["contains",["property","user_agent"],"\u0022"]"#,
            ].map { Array($0.utf8) }
        },
        run: { input in
            guard let value = try? JSONValue(parsing: input, maximumDepth: 16) else { return }
            _ = try? Mask<EventProperty>(value)
            if let order = try? Order<EventProperty>(value) {
                let sorted = order.sorted(JSONPromises.events + JSONPromises.events)
                try promise(
                    zip(sorted, sorted.dropFirst()).allSatisfy { !order.precedes($1, $0) }, "out of order: \(value)")
            }
            guard let filter = try? Filter<EventProperty>(value) else { return }
            for event in JSONPromises.events {
                let expected = FilterWalk.holds(value, event)
                try promise(filter.matches(event) == expected, "decides otherwise of \(event.entry): \(value)")
            }
        })

    /// What the drill's clients read of a notification, beside what a JSON decoder reads.
    static let notification = FuzzTarget(
        "notification", words: jsonWords,
        seeds: {
            try WireSeeds.entries.map { entry in
                EventJSON.head(id: Array(#""f""#.utf8))
                    + (try EventJSON.tail(of: entry, domain: WireSeeds.domain, epoch: 7))
            }
                + WireSeeds.entries.map { try EventJSON.envelope(of: $0, domain: WireSeeds.domain, epoch: 7) }
        },
        run: { input in
            _ = try? input.withUnsafeBytes { try RegistrarNotification.read(event: $0) }
            let buffer = ByteBuffer(bytes: input)
            let scanned = try? RegistrarNotification.read(buffer, keepingJSON: true)
            guard let decoded = JSONValue.message(buffer), decoded.method == "event" else { return }
            // The scanner goes less deep, and holds to what `JSONWriter` writes; what both read must be the same.
            guard let scanned, JSONPromises.hasUniqueNames(input) else { return }
            try promise(
                scanned.position.epoch == UInt64(clamping: decoded.fields["epoch"]?.integer ?? 0)
                    || decoded.fields["epoch"]?.integer == nil, "another epoch: \(scanned)")
            let data = decoded.fields["event"]?.object?["data"]?.object
            if case .registered(.sipuser, let account, let contact) = scanned.change {
                try promise(data?["sipuser_id"]?.text ?? "" == account, "another account: \(account)")
                try promise(data?["contact_id"]?.text ?? "" == contact, "another contact: \(contact)")
            }
        })

    private static let jsonWords = [
        #"["subscribe",{"#, #""qid":"#, #""exargs":{"#, #""filter":"#, #""events":["#, "true", "false", "null",
        #"\u0000"#,
        #"\ud800"#, "1e400", "-0", "9223372036854775808", "18446744073709551615", "0.1", "1E+2", "[[[[[[", "]]]]]]",
        "{}",
        #""seq":"#, #""epoch":"#, #""event":{"#, #""data":{"#, #""type":"sipuser_registered""#,
    ]
    private static let filterWords = [
        #"["and","#, #"["or","#, #"["not","#, #"["property","#, #""in""#, #""contains""#, #""endswith""#, #"["!=","#,
        #""data.ttl""#, #""caps""#, #""path""#, #""reason""#,
    ]
}

private enum JSONPromises {
    static let events: [EventView] = WireSeeds.entries.compactMap { entry in
        guard let contact = entry.change.contact, let registration = try? contact.registration() else { return nil }
        return EventView(entry, registration)
    }

    static func roundTrip(_ input: [UInt8]) throws {
        guard let value = try? JSONValue(parsing: input, maximumDepth: ClientMessage.maximumDepth) else { return }
        var writer = JSONWriter()
        writer.value(value)
        let again = try? JSONValue(parsing: writer.bytes, maximumDepth: ClientMessage.maximumDepth)
        try promise(
            again == value,
            "\(value) is written as \(String(decoding: writer.bytes, as: UTF8.self)), and read as \(again ?? .null)"
        )
    }

    /// Reads every parameter in every way.
    static func readAll(_ parameters: Parameters) {
        for name in parameters.members.keys {
            // Each reads or refuses.
            _ = try? parameters.string(name)
            _ = try? parameters.integer(name)
            _ = try? parameters.boolean(name)
            _ = try? parameters.object(name)
            _ = try? parameters.strings(name, maximum: 8)
        }
        var matcher = SubscriptionMatcher.everything
        try? matcher.change(by: parameters)
    }

    /// Of two members of one name, decoders take either.
    static func hasUniqueNames(_ input: [UInt8]) -> Bool {
        let names = String(decoding: input, as: UTF8.self).split(separator: "\"").filter { name in
            ["epoch", "seq", "event", "data", "sipuser_id", "contact_id", "type"].contains(name)
        }
        return Set(names).count == names.count && !input.contains(UInt8(ascii: "\\"))
    }
}

/// Says what a filter's expression means by walking it.
private enum FilterWalk {
    static func holds(_ expression: JSONValue, _ event: EventView) -> Bool {
        if case .boolean(let constant) = expression { return constant }
        guard let elements = expression.array, let name = elements.first?.text else { return false }
        let rest = Array(elements.dropFirst())
        switch name {
        case "and", "&&": return rest.allSatisfy { holds($0, event) }
        case "or", "||": return rest.contains { holds($0, event) }
        case "not", "!": return !holds(rest[0], event)
        case "in":
            let list = rest[1].array?.first == "property" ? value(rest[1], event).array : rest[1].array
            if case .string(let text) = value(rest[1], event), let part = value(rest[0], event).text {
                return part.utf8.isEmpty || text.utf8.firstRange(of: Array(part.utf8)) != nil
            }
            return list?.contains(value(rest[0], event)) ?? false
        default: return compares(name, value(rest[0], event), value(rest[1], event))
        }
    }

    private static func value(_ operand: JSONValue, _ event: EventView) -> JSONValue {
        guard case .array(let elements) = operand else { return operand }
        guard elements.count == 2, elements[0] == "property", let name = elements[1].text,
            let property = EventProperty(name: name)
        else { return operand }
        return event.value(of: property)
    }

    private static func compares(_ name: String, _ left: JSONValue, _ right: JSONValue) -> Bool {
        switch name {
        case "==": return left == right
        case "!=": return left != right
        case "<": return less(left, right) ?? false
        case ">": return less(right, left) ?? false
        case "<=": return less(right, left).map { !$0 } ?? false
        case ">=": return less(left, right).map { !$0 } ?? false
        case "contains":
            if let list = left.array { return list.contains(right) }
            guard let text = left.text, let part = right.text else { return false }
            return part.utf8.isEmpty || text.utf8.firstRange(of: Array(part.utf8)) != nil
        default:
            guard let text = left.text.map({ Array($0.utf8) }), let part = right.text.map({ Array($0.utf8) }) else {
                return false
            }
            return name == "startswith" ? text.starts(with: part) : text.reversed().starts(with: part.reversed())
        }
    }

    private static func less(_ left: JSONValue, _ right: JSONValue) -> Bool? {
        if let left = left.text, let right = right.text { return left < right }
        if let left = left.integer, let right = right.integer { return left < right }
        guard let left = number(left), let right = number(right) else { return nil }
        return left < right
    }

    private static func number(_ value: JSONValue) -> Double? {
        if case .number(let number) = value { return number }
        return value.integer.map(Double.init)
    }
}
