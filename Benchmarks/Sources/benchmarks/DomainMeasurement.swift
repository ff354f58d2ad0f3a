import ClusterRuntime
import RegistrarEvents
import SRActor

/// What one process measured of a domain of one size. Rates are operations per second of CPU time.
struct DomainResult: Codable {
    var payloadBytes = 0.0
    /// Into an empty list, growing.
    var fill = Samples()
    var register = Samples()
    var renew = Samples()
    /// The standby's share of a renewal.
    var renewAtStandby = Samples()
    var unregister = Samples()
    var expire = Samples()
    var replay = Samples()
    /// Resident bytes a registration, the process without a domain taken off: after the fill, and in the end, when the
    /// log's ring is full and the heap has seen every kind of change.
    var bytesFilled = 0.0
    var bytesInTheEnd = 0.0
    /// Milliseconds of CPU time that the owner was busy at most with one turn of the fill.
    var longestTurn = 0.0
}

/// Measures a domain of one size in this process, which should be a fresh one.
struct DomainMeasurement {
    private let population: Population
    private let rounds: Int
    private var harness: DomainHarness
    private var result = DomainResult()
    private var step = 0

    private static let hour: UInt32 = 3_600_000
    private static let brief: UInt32 = 30_000

    static func run(_ population: Population, withStandby: Bool, rounds: Int) -> DomainResult {
        // What the first contact and the first turn leave behind for ever is not the domain's.
        Measuring.keep(population.contact(0))
        let before = Measuring.residentBytes()
        var measurement = DomainMeasurement(
            population: population, rounds: rounds, harness: DomainHarness(withStandby: withStandby))
        measurement.run(before: before)
        return measurement.result
    }

    private mutating func run(before: Int) {
        let (population, count) = (population, population.count)
        result.payloadBytes =
            Double((0..<1_000).reduce(0) { $0 + population.contact($1).bytes.count }) / 1_000
        result.fill.add(rate(count) { .register(population.contact($0), ttl: Self.hour) }.owner)
        result.longestTurn = Double(harness.longestTurn) / 1e6
        result.bytesFilled = Double(Measuring.residentBytes() - before) / Double(count)
        for round in 1...rounds { changes(version: round) }
        for _ in 0..<rounds {
            let start = harness.ownerTime
            harness.beginEpoch(.failover)
            result.replay.add(Double(count) / Double(harness.ownerTime - start) * 1e9)
        }
        let left = harness.owner.replica.table.count
        precondition(left == count, "\(left) of \(count) contacts are left")
        result.bytesInTheEnd = Double(Measuring.residentBytes() - before) / Double(count)
    }

    /// A round of every kind of change, after which there are as many contacts as before.
    private mutating func changes(version: Int) {
        let (population, start) = (population, step)
        let renewals = 131_072
        let changes = min(population.count / 2, 32_768)
        let renewal = rate(renewals) {
            .register(population.contact(population.scattered(start + $0), version: version), ttl: Self.hour)
        }
        result.renew.add(renewal.owner)
        result.renewAtStandby.add(renewal.standby)
        let next = start + renewals
        let unregistered = rate(changes) {
            let contact = population.contact(population.scattered(next + $0))
            return .unregister(key: Array(contact.keyBytes), reason: .unregisterContact)
        }
        result.unregister.add(unregistered.owner)
        let registered = rate(changes) {
            .register(population.contact(population.scattered(next + $0)), ttl: Self.hour)
        }
        result.register.add(registered.owner)
        step = next + changes
        result.expire.add(expiry(of: changes / 2))
    }

    /// Operations per second of CPU time of the owner's and the standby's machine. Making the requests is not counted.
    private mutating func rate(
        _ count: Int, _ operation: (Int) -> Request.Operation
    ) -> (owner: Double, standby: Double) {
        let start = (harness.ownerTime, harness.standbyTime)
        var done = 0
        while done < count {
            let batch = min(DomainHarness.requestsPerTurn, count - done)
            harness.perform((done..<done + batch).map(operation))
            done += batch
        }
        let owner = Double(count) / Double(harness.ownerTime - start.0) * 1e9
        return (owner, Double(count) / Double(max(harness.standbyTime - start.1, 1)) * 1e9)
    }

    /// Registers contacts beyond the population for a short time and lets them run out.
    private mutating func expiry(of count: Int) -> Double {
        let population = population
        _ = rate(count) { .register(population.contact(population.count + $0), ttl: Self.brief) }
        let start = harness.ownerTime
        harness.pass(.milliseconds(Int(Self.brief) + 1_000))
        return Double(count) / Double(harness.ownerTime - start) * 1e9
    }
}

/// The peer: a plain dictionary from keys to values, which knows no order of events, no log, no deadlines and nobody
/// to tell.
struct DictionaryPeer {
    struct Value {
        var details: Registration.Details
        var deadline: Int64
    }

    static func run(_ population: Population, rounds: Int) -> DomainResult {
        Measuring.keep(population.registration(0))
        let before = Measuring.residentBytes()
        var result = DomainResult()
        var dictionary: [ContactKey: Value] = [:]
        var step = 0
        result.fill.add(put(population.count, into: &dictionary) { population.registration($0) })
        result.bytesFilled = Double(Measuring.residentBytes() - before) / Double(population.count)
        for round in 0..<rounds {
            let first = step
            result.renew.add(
                put(131_072, into: &dictionary) {
                    population.registration(population.scattered(first + $0), version: round + 1)
                })
            step += 131_072
        }
        result.bytesInTheEnd = Double(Measuring.residentBytes() - before) / Double(population.count)
        return result
    }

    private static func put(
        _ count: Int, into dictionary: inout [ContactKey: Value], _ registration: (Int) -> Registration
    ) -> Double {
        var time: Int64 = 0
        var done = 0
        while done < count {
            let batch = min(DomainHarness.requestsPerTurn, count - done)
            let registrations = (done..<done + batch).map(registration)
            let start = Measuring.threadCPU()
            for registration in registrations {
                dictionary[registration.key] = Value(details: registration.details, deadline: Int64(done))
            }
            time += Measuring.threadCPU() - start
            done += batch
        }
        return Double(count) / Double(time) * 1e9
    }
}
