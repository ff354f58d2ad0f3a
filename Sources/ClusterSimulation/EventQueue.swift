import ClusterRuntime

/// What is to happen, by time; what is to happen at one time happens in the order in which it was planned.
struct EventQueue<Element> {
    private struct Item {
        let time: MonotonicInstant
        let order: UInt64
        let element: Element
    }

    private var heap: [Item] = []
    private var nextOrder: UInt64 = 0

    var nextTime: MonotonicInstant? { heap.first?.time }

    mutating func add(_ element: Element, at time: MonotonicInstant) {
        heap.append(Item(time: time, order: nextOrder, element: element))
        nextOrder += 1
        var child = heap.count - 1
        while child > 0, precedes(child, (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func popFirst() -> (time: MonotonicInstant, element: Element)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
        return (first.time, first.element)
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var smallest = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && precedes(child, smallest) {
                smallest = child
            }
            guard smallest != parent else { return }
            heap.swapAt(parent, smallest)
            parent = smallest
        }
    }

    private func precedes(_ left: Int, _ right: Int) -> Bool {
        (heap[left].time, heap[left].order) < (heap[right].time, heap[right].order)
    }
}
