import ClusterRuntime
import Logging
import NIOCore
import NIOEmbedded
import RegistrarEvents
import SIP
import Testing

@testable import SIPGateway

/// An event loop's shell, at a loop whose time stands still.
@Suite struct LaneTests {
    private let loop = EmbeddedEventLoop()
    private let counters = SIPCounters()

    /// - Parameter isOwned: whether there is an owner to be asked. It never answers.
    private func core(isOwned: Bool) -> SIPLane.Core {
        let settings = SIPSettings(
            host: "127.0.0.1", listen: SIPListen(udp: 5_060, isOpen: true), threads: 1, limits: Limits(),
            periods: Periods(), domains: [DomainSpec(name: demo)])
        let registrar = Registrar(
            settings: settings, authenticator: nil, gate: AddressGate(limits: Limits(), periods: Periods()),
            counters: counters, life: RunningServer.life, lane: 1)
        let transport = InMemoryTransport(self: RunningServer.life, on: InMemoryHub())
        let watchers = WatcherTable(
            settings, counters: counters, life: RunningServer.life, transport: transport,
            log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let core = SIPLane.Core(registrar, eventLoop: loop, transport: transport, watchers: watchers)
        guard isOwned else { return core }
        core.take(
            .assigned([
                Assignment(
                    domain: demo, epoch: 1, revision: 1, owner: TestRegistrar.ownerNode, standbys: [], cause: .restart,
                    since: 0)
            ]))
        return core
    }

    /// What is kept is looked at once a second; a request that waits for its owner is looked at sooner.
    @Test func timeIsLookedAtSoonerWhenSomethingWaits() throws {
        let core = core(isOwned: true)
        var phone = Phone()
        let route = try TestRegistrar.route()
        let options = phone.request("OPTIONS", uri: "sip:demo.example")
        core.received([UInt8](options.utf8), from: route, at: SystemClock.now())
        core.flush()
        #expect(core.tickerWait == .seconds(1))
        let register = phone.register("Contact: <sip:alice@192.0.2.1>")
        core.received([UInt8](register.utf8), from: route, at: SystemClock.now())
        core.flush()
        #expect(core.underWay == 1 && core.tickerWait == RequestMachine.tickPeriod)
        // The same goes for what comes after a tick.
        loop.advanceTime(by: .milliseconds(25))
        #expect(core.tickerWait == RequestMachine.tickPeriod)
        core.stop()
    }

    /// What a socket does not get rid of is dropped: whoever misses an answer asks again.
    @Test func aSocketWithTooMuchToSendTakesNoMore() throws {
        let channel = EmbeddedChannel(loop: loop)
        try channel.pipeline.syncOperations.addHandler(DatagramHandler(core(isOwned: false), counters: counters))
        let peer = try SocketAddress(ipAddress: "127.0.0.1", port: 9)
        try channel.connect(to: peer).wait()
        var phone = Phone()
        func ask() throws -> AddressedEnvelope<ByteBuffer>? {
            let request = ByteBuffer(string: phone.request("OPTIONS", uri: "sip:demo.example"))
            try channel.writeInbound(AddressedEnvelope(remoteAddress: peer, data: request))
            return try channel.readOutbound(as: AddressedEnvelope<ByteBuffer>.self)
        }
        #expect(try ask()?.remoteAddress == peer)
        channel.isWritable = false
        #expect(try ask() == nil)
        #expect(counters.statistics.unsent == 1)
        channel.isWritable = true
        let answer = try Answer(Array(try #require(try ask()).data.readableBytesView))
        #expect((answer.status, answer[.cseq]) == (200, "3 OPTIONS"))
    }
}
