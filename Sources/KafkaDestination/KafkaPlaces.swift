import Destinations
import RegistrarEvents
import Synchronization

/// Where the last batch of each domain went: to which topic, and among how many partitions.
///
/// Which partition has an account follows from both. So another topic, or partitions that were added, have nothing of
/// what was told before, and of an account that others now have, the former ones would hear nothing any more.
final class KafkaPlaces: Sendable {
    private struct Place: Sendable {
        let topic: String
        let partitions: Int32
    }

    private let places = Mutex<[DomainName: Place]>([:])

    /// A batch is about to be written.
    /// - Throws: `moved` when the last one went elsewhere. The next may go there.
    func note(_ domain: DomainName, topic: String, partitions: Int32) throws(DestinationError) {
        let new = Place(topic: topic, partitions: partitions)
        guard let last = places.withLock({ $0.updateValue(new, forKey: domain) }) else { return }
        guard last.topic == topic else {
            throw DestinationError(.moved, "its topic is \(topic) now, and was \(last.topic)")
        }
        guard last.partitions == partitions else {
            throw DestinationError(.moved, "\(topic) has \(partitions) partitions now, and had \(last.partitions)")
        }
    }

    func forget(_ domain: DomainName) { places.withLock { $0[domain] = nil } }
}
