import Crypto
package import Destinations
import Foundation
import MessagePack
package import RegistrarEvents

/// The JSON of a webhook request.
///
/// `{"plugin":…,"node":…,"domain":…,"events":[EVENT…]}`, each as `EventJSON.envelope` writes it.
/// `docs/plugins.md` has the contract.
package struct WebhookBody: Sendable {
    /// Names the request, for `webhook-id`: domain, first and last position, and a hash of the events, since those of a
    /// replay made for one destination share a position. The same events have the same.
    package let id: String
    package let bytes: [UInt8]
    /// How many of the events that were given it stands for.
    package let count: Int
    /// Those of them that are not in it, since their contacts' bytes are not what `PackedContact` makes.
    package let unreadable: Int

    /// Encodes the first of some events, as many as fit.
    /// - Parameters:
    ///   - events: not empty
    ///   - maximumBytes: at which the request is full; the last event may reach beyond
    package init(
        plugin: String, node: String, domain: DomainName, events: ArraySlice<DestinationEvent>, maximumBytes: Int
    ) {
        guard let first = events.first else { preconditionFailure("a webhook request without events") }
        var json = JSONWriter(reserving: min(maximumBytes + 1_024, 256 + events.count * 512))
        json.raw(#"{"plugin":"#)
        json.string(plugin)
        json.raw(#","node":"#)
        json.string(node)
        json.raw(#","domain":"#)
        json.string(domain.rawValue)
        json.raw(#","events":["#)
        let head = json.bytes.count
        var count = 0
        var unreadable = 0
        var last = first.position
        for event in events {
            guard json.bytes.count == head || json.bytes.count < maximumBytes else { break }
            let end = json.bytes.count
            if end > head { json.raw(",") }
            count += 1
            do throws(MessagePackError) {
                try json.envelope(of: event.entry, domain: domain, epoch: event.epoch)
                last = event.position
            } catch {
                json.takeBack(to: end)
                unreadable += 1
            }
        }
        let hash = SHA256.hash(data: json.bytes[head...]).prefix(6)
        json.raw("]}")
        bytes = json.bytes
        self.count = count
        self.unreadable = unreadable
        // A full stop separates what is signed, so there is none in the id.
        let name = domain.rawValue.replacing(".", with: ":")
        let digits = hash.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        id = "\(name)/\(first.position)/\(last)/\(digits)"
    }
}
