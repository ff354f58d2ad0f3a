/// A timing wheel of two levels whose lists run through the slots of a contact table.
///
/// A tick is 256 ms; level 0 reaches 65 s ahead in single ticks, level 1 4.6 hours in turns of level 0, and what lies
/// beyond waits in its last list and is placed again when that comes up. A renewal to a later deadline moves nothing:
/// the contact is placed again when its old list comes up, so a renewal costs no list work. Constant time per
/// operation, 2 KiB a domain. Source: Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987, schemes 6
/// and 7.
struct ExpiryWheel: Sendable {
    static let tickMilliseconds: Int64 = 256
    /// Ticks that both levels together reach ahead.
    static let reach: Int64 = 65_536
    static let noList: UInt16 = .max
    static let dueList: UInt16 = 512

    /// The last tick that has been worked off.
    var cursor: Int64 = 0
    /// Heads of the lists: 256 of level 0, 256 of level 1, and those that are due.
    var heads: [UInt32] = Array(repeating: ContactTable.none, count: 513)

    var firstDue: UInt32? { heads[Int(Self.dueList)] == ContactTable.none ? nil : heads[Int(Self.dueList)] }

    /// The list in which a contact with this deadline belongs now.
    func list(for deadline: Int64) -> UInt16 {
        let tick = Self.tick(of: deadline)
        guard tick > cursor else { return Self.dueList }
        if tick - cursor < 256 { return UInt16(tick & 255) }
        let turn = min(tick >> 8, (cursor >> 8) + 255)
        return 256 + UInt16(turn & 255)
    }

    /// The tick at whose end the deadline has passed.
    static func tick(of deadline: Int64) -> Int64 { (deadline + tickMilliseconds - 1) >> 8 }

    /// When there may next be something to do, in milliseconds; nil when the wheel is empty.
    var nextTime: Int64? {
        if firstDue != nil { return cursor * Self.tickMilliseconds }
        let tick = (1...255).first { heads[Int((cursor + $0) & 255)] != ContactTable.none }.map { cursor + $0 }
        let turn = (1...255).first { heads[256 + Int(((cursor >> 8) + $0) & 255)] != ContactTable.none }
            .map { ((cursor >> 8) + $0) << 8 }
        // A turn of level 1 may begin, and hold something, before the next tick of level 0 that does.
        guard let tick, let turn else { return (tick ?? turn).map { $0 * Self.tickMilliseconds } }
        return min(tick, turn) * Self.tickMilliseconds
    }
}

extension ContactTable {
    /// When `popExpired` may next find something, in milliseconds of the domain's clock.
    public var nextExpiryCheck: Int64? { wheel.nextTime }

    /// Works off ticks up to now; contacts whose deadline has passed end up in the due list.
    mutating func advanceWheel(to now: Int64) {
        let target = now >> 8
        guard target != wheel.cursor else { return }
        if count == 0 {
            wheel.cursor = target
            return
        }
        // Back, when the domain's clock was held still; far ahead, when this copy was a standby's, which ends nothing.
        guard target > wheel.cursor, target - wheel.cursor < ExpiryWheel.reach else {
            rebuildWheel(at: target)
            return
        }
        while wheel.cursor < target {
            wheel.cursor += 1
            if wheel.cursor & 255 == 0 { replaceList(256 + Int((wheel.cursor >> 8) & 255)) }
            replaceList(Int(wheel.cursor & 255))
        }
    }

    /// Places every contact anew, which costs one pass instead of a walk over all the ticks in between.
    private mutating func rebuildWheel(at cursor: Int64) {
        wheel = ExpiryWheel()
        wheel.cursor = cursor
        for slot in slots.indices where slots[slot].contact != nil { schedule(UInt32(slot)) }
    }

    /// Takes a list apart and places each of its contacts by its deadline of today.
    private mutating func replaceList(_ list: Int) {
        var slot = wheel.heads[list]
        wheel.heads[list] = Self.none
        while slot != Self.none {
            let next = slots[Int(slot)].timerNext
            schedule(slot)
            slot = next
        }
    }

    mutating func schedule(_ slot: UInt32) {
        let list = wheel.list(for: slots[Int(slot)].deadline)
        let head = wheel.heads[Int(list)]
        slots[Int(slot)].timerList = list
        slots[Int(slot)].timerPrevious = Self.none
        slots[Int(slot)].timerNext = head
        if head != Self.none { slots[Int(head)].timerPrevious = slot }
        wheel.heads[Int(list)] = slot
    }

    mutating func unschedule(_ slot: UInt32) {
        let next = slots[Int(slot)].timerNext
        let previous = slots[Int(slot)].timerPrevious
        if next != Self.none { slots[Int(next)].timerPrevious = previous }
        if previous != Self.none {
            slots[Int(previous)].timerNext = next
        } else {
            wheel.heads[Int(slots[Int(slot)].timerList)] = next
        }
        slots[Int(slot)].timerList = ExpiryWheel.noList
    }

    /// Gives a contact a new deadline. A later one costs nothing unless the contact is due already.
    mutating func reschedule(_ slot: UInt32, _ deadline: Int64) {
        let isLater = deadline >= slots[Int(slot)].deadline && slots[Int(slot)].timerList != ExpiryWheel.dueList
        slots[Int(slot)].deadline = deadline
        guard !isLater else { return }
        unschedule(slot)
        schedule(slot)
    }
}
