package import MessagePack
package import RegistrarEvents

/// The JSON of a webhook request.
///
/// `{"plugin":…,"node":…,"domain":…,"epoch":…,"first":…,"events":[NOTIFICATION…],"last":…}`, a notification being
/// what a websocket gets as the body of `event`. `docs/plugins.md` has the contract.
package struct WebhookBody: Sendable {
    /// Names the request, for `webhook-id`: domain, epoch and sequence numbers.
    package let id: String
    package let bytes: [UInt8]
    /// How many of the entries that were given are in it.
    package let count: Int

    /// Encodes the first of some entries, as many as fit.
    /// - Parameters:
    ///   - entries: not empty, of one domain and epoch
    ///   - maximumBytes: at which the request is full; the last event may reach beyond
    ///   - serial: tells requests of one position apart, as those of a resync are; nil for the log's own
    /// - Throws: when a contact's bytes are not what `PackedContact` makes
    package init(
        plugin: String, node: String, domain: DomainName, epoch: UInt64, entries: ArraySlice<LogEntry>,
        maximumBytes: Int, serial: UInt64?
    ) throws(MessagePackError) {
        guard let first = entries.first else { preconditionFailure("a webhook request of no entries") }
        var json = JSONWriter(reserving: min(maximumBytes + 1_024, 256 + entries.count * 512))
        json.raw(#"{"plugin":"#)
        json.string(plugin)
        json.raw(#","node":"#)
        json.string(node)
        json.raw(#","domain":"#)
        json.string(domain.rawValue)
        json.raw(#","epoch":"#)
        json.unsigned(epoch)
        json.raw(#","first":"#)
        json.unsigned(first.seq)
        json.raw(#","events":["#)
        var count = 0
        var last = first.seq
        for entry in entries where count == 0 || json.bytes.count < maximumBytes {
            if count > 0 { json.raw(",") }
            json.notification(
                of: entry, registration: try entry.change.contact?.registration(), domain: domain, epoch: epoch)
            count += 1
            last = entry.seq
        }
        json.raw(#"],"last":"#)
        json.unsigned(last)
        json.raw("}")
        bytes = json.bytes
        self.count = count
        // A full stop separates what is signed, so there is none in the id.
        let name = domain.rawValue.replacing(".", with: ":")
        id = "\(name)/\(epoch)/\(first.seq)-\(last)" + (serial.map { "/\($0)" } ?? "")
    }
}
