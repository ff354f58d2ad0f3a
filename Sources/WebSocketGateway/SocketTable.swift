import WSSubscrActor
import WebSocketFrames

/// The sockets of a lane, by the numbers of their connections, in one array: an event for thousands of them goes
/// through it from row to row, and touches nothing else of a socket that has an express way.
///
/// Lives on its lane's event loop. A class, since sockets come and go while it is gone through.
final class SocketTable {
    /// What pushed events need to get to a socket without it: it has one subscription, which flows, and nothing of it
    /// waits anywhere.
    struct ExpressWay {
        /// Of an open plain connection: a socket gives its way back before, or as soon as, its channel is closed.
        let descriptor: CInt
        /// The subscription's number, and `EventJSON.head` for it.
        let number: UInt32
        let head: [UInt8]
        /// How its messages are compressed.
        let deflate: DeflateTerms?
    }

    private struct Row {
        /// 0 while it is free.
        var connection: UInt32 = 0
        var socket: SocketHandler?
        var way: ExpressWay?
    }

    /// A connection's number is its row, and how many connections had the row before it.
    private static let rowBits: UInt32 = 20
    private static let rowMask: UInt32 = 1 << rowBits - 1

    private var rows: [Row] = []
    /// Whose connection is gone. Their numbers are kept, so that the next connection gets another.
    private var free: [(row: UInt32, last: UInt32)] = []

    var sockets: [SocketHandler] { rows.compactMap(\.socket) }

    /// Takes in a socket and gives its connection a number.
    func add(_ socket: SocketHandler) -> UInt32 {
        guard let place = free.popLast() else {
            precondition(rows.count <= Self.rowMask, "more connections than a node may have")
            let connection = 1 << Self.rowBits | UInt32(rows.count)
            rows.append(Row(connection: connection, socket: socket))
            return connection
        }
        // Numbers without a life are not used: 0 is a free row.
        let next = place.last &+ 1 << Self.rowBits
        let connection = next >> Self.rowBits == 0 ? next | 1 << Self.rowBits : next
        rows[Int(place.row)] = Row(connection: connection, socket: socket)
        return connection
    }

    /// - Returns: whether it was there.
    func remove(_ connection: UInt32) -> Bool {
        guard let row = row(of: connection) else { return false }
        rows[row] = Row()
        free.append((UInt32(row), connection))
        return true
    }

    subscript(connection: UInt32) -> SocketHandler? {
        row(of: connection).flatMap { rows[$0].socket }
    }

    /// - Parameter way: nil: events have to go through the socket from now on.
    func setExpressWay(_ way: ExpressWay?, of connection: UInt32) {
        if let row = row(of: connection) { rows[row].way = way }
    }

    func expressWay(of id: SubscriberID) -> ExpressWay? {
        guard let row = row(of: id.connection), let way = rows[row].way, way.number == id.number else { return nil }
        return way
    }

    private func row(of connection: UInt32) -> Int? {
        let row = Int(connection & Self.rowMask)
        return row < rows.count && rows[row].connection == connection ? row : nil
    }
}
