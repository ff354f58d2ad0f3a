package import RegistrarEvents

/// What a contact is known by in a consumer's list.
///
/// Names are compared as bytes, as the cluster does: to Swift's strings, and to whoever normalises them, `é` in one
/// character and in two is the same.
package struct ContactName: Hashable, Sendable, CustomStringConvertible {
    package let kind: String
    private let account: [UInt8]
    private let contact: [UInt8]

    init(_ kind: AccountKind, _ account: String, _ contact: String) {
        self.kind = kind.name
        self.account = Array(account.utf8)
        self.contact = Array(contact.utf8)
    }

    /// Of an object as `rollcall contacts --json` lists it.
    /// - Returns: nil when it does not name a contact.
    package init?(_ listed: [String: JSONValue]) {
        guard let kind = listed["kind"]?.text.flatMap({ AccountKind(name: $0) }),
            let account = listed["account"]?.text, let contact = listed["contact_id"]?.text
        else { return nil }
        self.init(kind, account, contact)
    }

    var accountName: String { String(decoding: account, as: UTF8.self) }
    var contactID: String { String(decoding: contact, as: UTF8.self) }

    package var description: String { "\(kind) \(accountName.debugDescription) \(contactID.debugDescription)" }
}
