import AccessTokens
import ClusterRuntime
import RegistrarEvents

/// What the server says: `["method_result", {qid, result, …}]`.
enum ServerMessage {
    /// A reply that says ok.
    /// - Parameter fields: writes further members, each beginning with a comma.
    static func ok(_ method: String, _ qid: JSONValue, _ fields: (inout JSONWriter) -> Void = { _ in }) -> [UInt8] {
        var json = begin(method, qid)
        json.raw(#""result":"ok""#)
        fields(&json)
        json.raw("}]")
        return json.bytes
    }

    static func error(_ method: String, _ qid: JSONValue, _ error: ReplyError) -> [UInt8] {
        var json = begin(method, qid)
        json.error(error)
        json.raw("}]")
        return json.bytes
    }

    /// For what cannot be called the request of any method.
    static func error(_ error: ReplyError) -> [UInt8] {
        var json = JSONWriter()
        json.raw(#"["error",{"#)
        json.error(error)
        json.raw("}]")
        return json.bytes
    }

    /// A subscription is up to date.
    /// - Parameter id: encoded.
    static func synced(id: [UInt8], domain: DomainName, _ position: Position) -> [UInt8] {
        var json = JSONWriter()
        json.raw(#"["synced",{"id":"#)
        json.raw(id)
        json.member("domain", domain.rawValue)
        json.raw(#","epoch":"#)
        json.unsigned(position.epoch)
        json.raw(#","seq":"#)
        json.unsigned(position.seq)
        json.raw("}]")
        return json.bytes
    }

    private static func begin(_ method: String, _ qid: JSONValue) -> JSONWriter {
        var json = JSONWriter()
        json.raw("[")
        json.string(method + "_result")
        json.raw(#",{"qid":"#)
        json.value(qid)
        json.raw(",")
        return json
    }
}

extension JSONWriter {
    fileprivate mutating func error(_ error: ReplyError) {
        raw(#""result":"error","errorcode":"#)
        integer(Int64(error.code.rawValue))
        raw(#","errormsg":"#)
        string(error.message)
    }

    /// `,"name":"text"`; the name needs no escaping.
    mutating func member(_ name: StaticString, _ text: String) {
        raw(",\"")
        raw(name)
        raw("\":")
        string(text)
    }

    mutating func member(_ name: StaticString, _ number: Int64) {
        raw(",\"")
        raw(name)
        raw("\":")
        integer(number)
    }

    mutating func member(_ name: StaticString, _ position: Position) {
        raw(",\"")
        raw(name)
        raw(#"":{"epoch":"#)
        unsigned(position.epoch)
        raw(#","seq":"#)
        unsigned(position.seq)
        raw("}")
    }

    /// `,"capabilities":[{"key":…,"result":…}]`.
    /// - Parameter rights: nil before the login, when nobody knows yet.
    mutating func capabilities(_ capabilities: [Capability], _ rights: AccessRights?) {
        raw(#","capabilities":["#)
        for (index, capability) in capabilities.enumerated() {
            if index > 0 { raw(",") }
            raw(#"{"key":"#)
            string(capability.key)
            if let refusal = capability.refusal(rights) {
                raw(#","result":"error","errormsg":"#)
                string(refusal)
                raw("}")
            } else {
                raw(#","result":"ok"}"#)
            }
        }
        raw("]")
    }
}

/// Something a client says, in `setup`, that it wants to use.
struct Capability: Sendable, Hashable {
    let key: String

    /// Subscriptions are what there is.
    static let subscribe = Capability(key: AccessCapability.subscribe.rawValue)

    /// Why it is not granted; nil when it is.
    func refusal(_ rights: AccessRights?) -> String? {
        guard self == .subscribe else { return "no such capability" }
        return rights?.include(.subscribe) ?? true ? nil : "the token lacks this capability"
    }
}
