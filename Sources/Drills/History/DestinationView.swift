import ClusterRuntime
import Foundation
import RegistrarEvents

/// The set that one destination would keep of the drill's domain, by the rules for consumers (`docs/consumers.md`):
/// what comes again or of a deposed owner is passed over.
///
/// A topic has several partitions, each a whole stream of its accounts: each keeps a position and a set of its own.
/// What is missing shows in the numbers of all of them together.
struct DestinationView: Sendable {
    private struct Part {
        var position = Position.start
        /// Each contact with the CSeq of its last registration; 0 where that was not told.
        var holds: [ContactNumber: UInt32] = [:]
    }

    let name: String
    private var parts: [Int: Part] = [:]
    /// By epoch, the numbers that were told.
    private var told: [UInt64: IndexSet] = [:]
    /// By epoch, the highest position of a `clear` that was made for this destination: it accounts for what is missing
    /// before.
    private var restated: [UInt64: UInt64] = [:]
    private(set) var events = 0
    private(set) var duplicates = 0
    private(set) var deposed = 0

    /// Most ranges that are told of.
    private static let maximumFindings = 20

    init(name: String) { self.name = name }

    /// The contacts of the drill, over all partitions.
    var holds: Set<ContactNumber> { Set(held.keys) }

    private var held: [ContactNumber: UInt32] {
        parts.values.reduce(into: [:]) { $0.merge($1.holds, uniquingKeysWith: max) }
    }

    /// - Parameter part: the partition; 0 where there are none.
    mutating func take(_ event: SubscriberView.Event, part: Int = 0) {
        events += 1
        let position = event.position
        told[position.epoch, default: []].insert(Int(clamping: position.seq))
        let isOwnClear = event.change == .clear(own: true)
        if isOwnClear { restated[position.epoch] = max(restated[position.epoch] ?? 0, position.seq) }
        var kept = parts[part] ?? Part()
        guard position > kept.position || (position == kept.position && (isOwnClear || event.replay)) else {
            if position.epoch < kept.position.epoch { deposed += 1 } else { duplicates += 1 }
            return
        }
        kept.position = position
        switch event.change {
        case .clear: kept.holds = [:]
        case .registered(let contact): if let contact { kept.holds[contact] = event.cseq ?? 0 }
        case .unregistered(let contact): if let contact { kept.holds[contact] = nil }
        }
        parts[part] = kept
    }

    /// The numbers within an epoch that were never told, and that no `clear` accounts for.
    var gaps: [Violation] {
        var found: [Violation] = []
        let first = told.keys.min()
        for (epoch, numbers) in told.sorted(by: { $0.key < $1.key }) {
            guard let lowest = numbers.first, let last = numbers.last else { continue }
            let accounted = Int(clamping: restated[epoch] ?? 0)
            // What came before the drill was of nobody here.
            let start = epoch == first ? lowest : 1
            for missing in IndexSet(integersIn: start...max(last, start)).subtracting(numbers).rangeView
            where missing.upperBound - 1 > accounted && found.count < Self.maximumFindings {
                found.append(
                    Violation(
                        .order,
                        "\(name): \(missing.lowerBound) to \(missing.upperBound - 1) of epoch \(epoch) are missing, "
                            + "and no clear follows"))
            }
        }
        return found
    }

    /// How its set differs from the owner's list.
    /// - Parameter cseqs: by which request each contact was registered or renewed last, as the list says.
    func differences(from list: Set<ContactNumber>, cseqs: [ContactNumber: UInt32] = [:]) -> [Violation] {
        let held = held
        let holds = Set(held.keys)
        let former = held.sorted { $0.key < $1.key }.compactMap { contact, cseq -> Violation? in
            guard cseq > 0, let listed = cseqs[contact], listed != cseq else { return nil }
            return Violation(
                .lost, contact: contact,
                "contact \(contact) is in \(name) by CSeq \(cseq), and in the owner's list by CSeq \(listed)")
        }
        return former
            + list.subtracting(holds).sorted().map {
                Violation(.lost, contact: $0, "contact \($0) is in the owner's list and missing in \(name)")
            }
            + holds.subtracting(list).sorted().map {
                Violation(.stale, contact: $0, "contact \($0) is in \(name) and not in the owner's list")
            }
    }
}
