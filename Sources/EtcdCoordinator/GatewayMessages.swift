import Foundation

/// What is said to etcd's JSON gateway, and what it answers: the messages of etcd's `rpc.proto` as their JSON form has
/// them, with the fields that are needed here. Bytes are in base64, 64-bit numbers are texts, and what is zero is left
/// out of answers. Source: etcd 3.4 documentation, "gRPC gateway"; "Proto3 language guide", JSON mapping.
enum Gateway {
    /// A 64-bit number, which JSON's own numbers could not hold.
    struct Wide: Codable, Hashable, Sendable {
        var value: Int64

        init(_ value: Int64) { self.value = value }

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            let text = try container.decode(String.self)
            guard let value = Int64(text) else {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(text) is no number")
            }
            self.value = value
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            try container.encode(String(value))
        }
    }

    struct Header: Decodable, Sendable {
        /// Unsigned, and only compared.
        var cluster_id: String
        var revision: Wide?
    }

    struct KeyValue: Decodable, Sendable {
        var key: Data
        var value: Data?
        var mod_revision: Wide
        var lease: Wide?
    }

    struct Range: Encodable, Sendable {
        var key: Data
        var range_end: Data?
        var limit: Wide?
        var revision: Wide?
    }

    struct RangeReply: Reply {
        var header: Header
        var kvs: [KeyValue]?
        var more: Bool?
    }

    struct Put: Encodable, Sendable {
        var key: Data
        var value: Data
        var lease: Wide?
    }

    struct Compare: Encodable, Sendable {
        var key: Data
        var target: String
        var value: Data?
        var mod_revision: Wide?

        static func value(of key: Data, is value: Data) -> Compare {
            Compare(key: key, target: "VALUE", value: value, mod_revision: nil)
        }

        /// - Parameter revision: 0 says that the key must not be there.
        static func change(of key: Data, isAt revision: Int64) -> Compare {
            Compare(key: key, target: "MOD", value: nil, mod_revision: Wide(revision))
        }
    }

    struct Operation: Encodable, Sendable {
        var request_range: Range?
        var request_put: Put?
        var request_delete_range: Range?

        static func get(_ key: Data) -> Operation { Operation(request_range: Range(key: key)) }
        static func put(_ key: Data, _ value: Data, lease: Int64? = nil) -> Operation {
            Operation(request_put: Put(key: key, value: value, lease: lease.map(Wide.init)))
        }
        static func delete(_ key: Data) -> Operation { Operation(request_delete_range: Range(key: key)) }
    }

    struct Transaction: Encodable, Sendable {
        var compare: [Compare] = []
        var success: [Operation]
        var failure: [Operation] = []
    }

    struct TransactionReply: Reply {
        struct Part: Decodable, Sendable {
            struct Range: Decodable, Sendable { var kvs: [KeyValue]? }
            var response_range: Range?
        }

        var header: Header
        var succeeded: Bool?
        var responses: [Part]?

        /// What the operation at this place found, if it was a range.
        func found(at place: Int) -> KeyValue? {
            guard let responses, responses.indices.contains(place) else { return nil }
            return responses[place].response_range?.kvs?.first
        }
    }

    struct Grant: Encodable, Sendable { var TTL: Wide }

    struct GrantReply: Reply {
        var header: Header
        var ID: Wide
    }

    struct KeepAlive: Encodable, Sendable { var ID: Wide }

    /// A stream of one answer.
    struct KeepAliveReply: Reply {
        struct Result: Decodable, Sendable {
            var header: Header
            var TTL: Wide?
        }

        var result: Result
        var header: Header { result.header }
    }

    struct Login: Encodable, Sendable {
        var name: String
        var password: String
    }

    struct LoginReply: Reply {
        var header: Header
        var token: String
    }

    struct Watch: Encodable, Sendable {
        struct Create: Encodable, Sendable {
            var key: Data
            var start_revision: Wide
        }

        var create_request: Create
    }

    /// One line of a watch.
    struct WatchLine: Decodable, Sendable {
        struct Event: Decodable, Sendable {
            /// Left out for a put.
            var type: String?
            var kv: KeyValue
        }

        struct Result: Decodable, Sendable {
            var header: Header
            var canceled: Bool?
            var compact_revision: Wide?
            var cancel_reason: String?
            var events: [Event]?
        }

        /// Nil when the stream ends with an error.
        var result: Result?
    }

    /// Why a call was refused: `{"error":"…","message":"…","code":14}`, with either text or both; of a stream
    /// `{"error":{"grpc_code":14,"message":"…",…}}`, or with `code` from etcd 3.6 on.
    struct Refusal: Decodable, Sendable {
        /// Of gRPC.
        let code: Int
        let text: String

        private enum Keys: String, CodingKey { case code, grpc_code, message, error }

        init(from decoder: any Decoder) throws {
            var fields = try decoder.container(keyedBy: Keys.self)
            // Of a call that streams nothing it is a text, or missing.
            if let stream = try? fields.nestedContainer(keyedBy: Keys.self, forKey: .error) { fields = stream }
            code = try fields.decodeIfPresent(Int.self, forKey: .grpc_code) ?? fields.decode(Int.self, forKey: .code)
            text =
                try fields.decodeIfPresent(String.self, forKey: .message)
                ?? fields.decodeIfPresent(String.self, forKey: .error) ?? "no reason given"
        }
    }

    protocol Reply: Decodable, Sendable {
        /// Nobody but etcd answers with one.
        var header: Header { get }
    }
}
