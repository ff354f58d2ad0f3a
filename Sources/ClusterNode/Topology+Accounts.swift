public import ClusterRuntime
import SQLiteAccounts

extension Topology {
    /// Opens the directory of accounts that the topology names.
    /// - Parameter create: makes an empty one when there is none.
    public func openAccounts(create: Bool = false) throws(DirectoryError) -> any AccountDirectory {
        switch directory {
        case .file(let path): try FileDirectory(path: path, limits: limits, create: create)
        case .sqlite(let path): try SQLiteDirectory(path: path, limits: limits, create: create)
        }
    }
}
