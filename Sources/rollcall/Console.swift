import Foundation
import Synchronization

/// What people and programs read: results on stdout, everything else on stderr.
enum Console {
    private static let lock = Mutex(())

    /// Prints a line of the result at once, so that whoever reads a pipe sees it now.
    /// - Returns: false when nobody reads any more.
    @discardableResult
    static func line(_ text: String) -> Bool { write(text + "\n", to: STDOUT_FILENO) }

    /// Prints a message for people.
    static func error(_ text: String) { write(text + "\n", to: STDERR_FILENO) }

    /// Prints a part of a line for people, such as a bar that grows.
    static func status(_ text: String) { write(text, to: STDERR_FILENO) }

    /// Prints a value as one JSON document on one line.
    static func json(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        line(String(decoding: try encoder.encode(value), as: UTF8.self))
    }

    static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    @discardableResult
    private static func write(_ text: String, to descriptor: Int32) -> Bool {
        lock.withLock { _ in
            var bytes = Array(text.utf8)[...]
            while !bytes.isEmpty {
                let count = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return false }
                bytes = bytes.dropFirst(count)
            }
            return true
        }
    }
}

/// Lines up columns.
struct Table {
    private var rows: [[String]]

    init(_ header: String...) { rows = [header] }

    mutating func row(_ cells: String...) { rows.append(cells) }

    var isEmpty: Bool { rows.count == 1 }

    var text: String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            rows.compactMap { column < $0.count ? $0[column].count : nil }.max() ?? 0
        }
        return rows.map { row in
            zip(row, widths).map { $0.padding(toLength: $1, withPad: " ", startingAt: 0) }
                .joined(separator: "  ").trimmingSuffix(" ")
        }.joined(separator: "\n")
    }
}

extension String {
    fileprivate func trimmingSuffix(_ character: Character) -> String {
        var text = self[...]
        while text.last == character { text.removeLast() }
        return String(text)
    }
}
