/// What was noted lately, under hashes with the process's own secret, so that nobody outside can make two keys meet.
///
/// At least the latest `capacity` keys are there. They are kept in two halves: when the newer one is full the older one
/// is forgotten.
struct Latest<Value: Sendable>: Sendable {
    private let capacity: Int
    private var newer: [Int: Value] = [:]
    private var older: [Int: Value] = [:]

    init(capacity: Int) { self.capacity = capacity }

    mutating func note(_ value: Value, _ key: Int) {
        if newer.count >= capacity, newer[key] == nil {
            swap(&newer, &older)
            newer.removeAll(keepingCapacity: true)
        }
        newer[key] = value
    }

    subscript(_ key: Int) -> Value? { newer[key] ?? older[key] }
}
