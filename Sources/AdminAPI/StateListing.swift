import ClusterRuntime
public import Filtering
import Hummingbird
import HummingbirdCore
public import RegistrarEvents

/// All accounts of a domain and kind with their status, by the bytes of their names: those that are online and those of
/// the directory, which is read page by page, so that a million of them take no more room than a page.
struct StateListing {
    private var online: ArraySlice<String>
    private let directory: any AccountDirectory
    private let domain: DomainName
    private let kind: AccountKind
    /// The part of the directory at hand.
    private var page: ArraySlice<String> = []
    /// The last name of it; nil when it was the last part.
    private var pageEnd: String? = ""

    private static let pageSize = 10_000

    /// - Parameter online: names in order, each once.
    init(online: [String], directory: any AccountDirectory, domain: DomainName, kind: AccountKind) {
        self.online = online[...]
        self.directory = directory
        self.domain = domain
        self.kind = kind
    }

    mutating func next() throws(AdminError) -> AccountState? {
        if page.isEmpty, let last = pageEnd { try turn(after: last) }
        guard let known = page.first else { return online.popFirst().map { state($0, isOnline: true) } }
        guard let first = online.first, !known.bytesPrecede(first) else {
            page.removeFirst()
            return state(known, isOnline: false)
        }
        online.removeFirst()
        if !first.bytesPrecede(known) { page.removeFirst() }
        return state(first, isOnline: true)
    }

    private mutating func turn(after last: String) throws(AdminError) {
        do throws(DirectoryError) {
            page = try directory.names(domain, kind, after: last, limit: Self.pageSize)[...]
        } catch {
            throw .tryAgain("this node cannot read the accounts: \(error)")
        }
        pageEnd = page.count < Self.pageSize ? nil : page.last
    }

    private func state(_ name: String, isOnline: Bool) -> AccountState {
        AccountState(AccountID(kind, name), isOnline: isOnline)
    }
}

/// What of a state can be filtered, masked and ordered by.
public enum StateProperty: String, FilterProperty {
    case id, username, status
}

extension AccountState: Filterable {
    public func value(of property: StateProperty) -> JSONValue {
        switch property {
        case .id, .username: .string(account.name)
        case .status: .string(status)
        }
    }
}

extension JSONWriter {
    mutating func state(_ state: AccountState, keeping mask: Mask<StateProperty>?) {
        raw("{")
        members(of: state, keeping: mask)
        raw("}")
    }
}

/// The parameters of a request for states.
struct StateQuery {
    let list: ListQuery<StateProperty>

    static let all = ["filter", "mask", "order", "offset", "limit"]

    /// - Parameter names: those that may be there, besides `domain`.
    init(_ uri: URI, allowing names: [String]) throws(AdminError) {
        for (name, _) in uri.queryParameters where name != "domain" && !names.contains(String(name)) {
            throw AdminError(
                .badRequest, "there is no parameter \(name); expected \((names + ["domain"]).joined(separator: ", "))")
        }
        do {
            list = try ListQuery { name in uri.queryParameters[name[...]].map(String.init) }
        } catch {
            throw AdminError(.badRequest, error.message)
        }
    }
}
