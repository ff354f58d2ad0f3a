/// The two kinds of account that register: people at a browser (`user`) and SIP devices (`sipuser`).
public enum AccountKind: UInt8, CaseIterable, Sendable {
    case user = 0
    case sipuser = 1

    /// The name in events, files and addresses.
    public var name: String {
        switch self {
        case .user: "user"
        case .sipuser: "sipuser"
        }
    }

    public init?(name: some StringProtocol) {
        switch name {
        case "user": self = .user
        case "sipuser": self = .sipuser
        default: return nil
        }
    }
}

/// An account within its domain: the address of record. Names are compared byte by byte (`ExactText`).
public struct AccountID: Hashable, Sendable {
    public let kind: AccountKind
    public let name: String

    public init(_ kind: AccountKind, _ name: String) {
        self.kind = kind
        self.name = name
    }

    public static func == (left: AccountID, right: AccountID) -> Bool {
        left.kind == right.kind && ExactText(left.name) == ExactText(right.name)
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(kind)
        hasher.combine(ExactText(name))
    }
}

/// What identifies a registration within a domain: the account, and the contact (connection or device) under it. Both
/// are compared byte by byte (`ExactText`).
public struct ContactKey: Hashable, Sendable {
    public let account: AccountID
    public let contact: String

    public init(_ kind: AccountKind, _ account: String, _ contact: String) {
        self.account = AccountID(kind, account)
        self.contact = contact
    }

    public static func == (left: ContactKey, right: ContactKey) -> Bool {
        left.account == right.account && ExactText(left.contact) == ExactText(right.contact)
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(account)
        hasher.combine(ExactText(contact))
    }
}

extension ContactKey: Comparable, CustomStringConvertible {
    public static func < (left: ContactKey, right: ContactKey) -> Bool {
        (left.account.kind.rawValue, ExactText(left.account.name), ExactText(left.contact))
            < (right.account.kind.rawValue, ExactText(right.account.name), ExactText(right.contact))
    }

    public var description: String { "\(account.kind.name)/\(account.name)/\(contact)" }
}
