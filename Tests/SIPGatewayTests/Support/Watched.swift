import Testing

@testable import SIPGateway

/// A watcher of alice that has been told everything there is, which is nothing.
func watched(
    change: (inout SIPSettings) -> Void = { _ in }
) throws -> (test: TestRegistrar, watcher: TestWatcher, phone: Phone) {
    var test = try TestRegistrar(minimumExpires: .seconds(2), change: change)
    var watcher = try TestWatcher()
    try watcher.subscribe(&test)
    test.advance(.seconds(2))
    return (test, watcher, Phone())
}

/// Sends a phone's request, and answers the NOTIFY that comes of it.
func notified(_ test: inout TestRegistrar, by request: String) throws -> Notification {
    let sent = try test.receive(request)
    let notify = try Notification(try #require(sent.first { $0.status == 0 }))
    #expect(try test.receive(notify.response()).isEmpty)
    test.advance(.seconds(1))
    return notify
}
