import Filtering
import RegistrarEvents

extension RecentEvents {
    /// What several groups of subscribers need of the same events while these are handed out, and nobody afterwards.
    struct Workbench: Sendable {
        /// By the event's number.
        private(set) var views: [UInt64: EventView] = [:]
        private var masked: [MaskedEvent: [UInt8]] = [:]

        private struct MaskedEvent: Hashable {
            let number: UInt64
            let mask: Mask<EventProperty>
        }

        /// Most events of each kind; unpacked ones take some hundred bytes.
        private static let maximumCount = 1_024

        mutating func keep(_ view: EventView, _ number: UInt64) {
            if views.count >= Self.maximumCount { views = [:] }
            views[number] = view
        }

        /// The event encoded under a mask, once.
        mutating func masked(_ number: UInt64, _ mask: Mask<EventProperty>, _ encode: () -> [UInt8]) -> [UInt8] {
            let key = MaskedEvent(number: number, mask: mask)
            if let tail = masked[key] { return tail }
            if masked.count >= Self.maximumCount { masked = [:] }
            let tail = encode()
            masked[key] = tail
            return tail
        }
    }

    /// What the event at an index is for a subscriber: encoded, nil for nothing.
    mutating func tail(at index: Int, for matcher: SubscriptionMatcher) -> [UInt8]? {
        let effect = event(at: index).effect
        guard effect.isFor(changes: matcher.changes) else { return nil }
        guard event(at: index).entry.change.contact != nil else { return tail(at: index) }
        guard matcher.filter != nil else {
            guard let subject = subject(at: index), matcher.covers(subject.type, account: subject.account)
            else { return nil }
            return tail(at: index, keeping: matcher.mask)
        }
        guard let view = view(at: index) else { return nil }
        if matcher.matches(view) { return tail(at: index, keeping: matcher.mask) }
        guard matcher.changes, let replaced = effect.replaced else { return nil }
        return leaving(at: index, replaced, matcher)
    }

    private mutating func tail(at index: Int, keeping mask: Mask<EventProperty>?) -> [UInt8]? {
        guard let mask else { return tail(at: index) }
        guard let view = view(at: index) else { return nil }
        let epoch = event(at: index).position.epoch
        return workbench.masked(number(at: index), mask) { [domain] in
            view.tail(keeping: mask, domain: domain, epoch: epoch)
        }
    }

    /// A contact that changed so that it does not pass the filter any more is over for whoever wants net changes: it is
    /// told as it was.
    private func leaving(at index: Int, _ replaced: PackedContact, _ matcher: SubscriptionMatcher) -> [UInt8]? {
        let event = event(at: index)
        let entry = LogEntry(
            seq: event.position.seq, timestamp: event.entry.timestamp,
            change: .unregistered(replaced, Self.voidReason))
        // An unreadable one raised an alarm when it came.
        guard let registration = try? replaced.registration(), let view = EventView(entry, registration),
            matcher.matches(view)
        else { return nil }
        return view.tail(keeping: matcher.mask, domain: domain, epoch: event.position.epoch)
    }
}
