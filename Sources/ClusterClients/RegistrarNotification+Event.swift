import RegistrarEvents

extension RegistrarNotification {
    /// Reads an event in one piece, as Kafka and webhooks are told it: `{class, type, data, eventts, domain, epoch,
    /// seq, replay?}`.
    /// - Returns: also the domain; empty when none is named.
    /// - Throws: `JSONScanner.Malformed`.
    package static func read(
        event: UnsafeRawBufferPointer
    ) throws(JSONScanner.Malformed) -> (domain: String, notification: RegistrarNotification) {
        var notification = RegistrarNotification()
        var domain = ""
        try notification.takeEvent(event)
        var scanner = JSONScanner(event)
        try scanner.members { (key, scanner) throws(JSONScanner.Malformed) in
            if key.equals("domain") {
                // A domain's name has nothing that would be escaped.
                domain = String(decoding: try scanner.rawString(), as: UTF8.self)
            } else if key.equals("epoch") {
                notification.position.epoch = try scanner.unsigned()
            } else if key.equals("seq") {
                notification.position.seq = try scanner.unsigned()
            } else if key.equals("replay") {
                notification.replay = try scanner.boolean()
            } else {
                try scanner.skipValue()
            }
        }
        return (domain, notification)
    }
}
