/// Gathers what a query asks for from things that come one by one, and holds no more of them than it must.
public struct ListSelection<Subject: Filterable> {
    private let query: ListQuery<Subject.Property>
    private var gathered: [Subject] = []
    private var skipped = 0

    /// With an order, `offset` and `limit` together at most: so many things are held, twice over.
    public static var maximumOrdered: Int { 100_000 }

    /// - Throws: when too much would have to be held.
    public init(_ query: ListQuery<Subject.Property>) throws(ListQuery<Subject.Property>.Fault) {
        guard query.order == nil || query.offset + query.limit <= Self.maximumOrdered else {
            throw .init(message: "with `order`, `offset` and `limit` may be \(Self.maximumOrdered) together")
        }
        self.query = query
    }

    /// Takes the next one.
    /// - Returns: false when no further one can change the result.
    public mutating func take(_ subject: Subject) -> Bool {
        guard query.filter?.matches(subject) ?? true else { return true }
        guard let order = query.order else {
            guard skipped == query.offset else {
                skipped += 1
                return true
            }
            gathered.append(subject)
            return gathered.count < query.limit
        }
        gathered.append(subject)
        // Sorted each time that as many again have come: each thing is sorted a few times at most.
        let wanted = query.offset + query.limit
        if gathered.count >= 2 * wanted { gathered = Array(order.sorted(gathered).prefix(wanted)) }
        return true
    }

    /// What was asked for of those taken.
    public var result: [Subject] {
        guard let order = query.order else { return gathered }
        return Array(order.sorted(gathered).dropFirst(query.offset).prefix(query.limit))
    }
}
