import ClusterRuntime
import Digests
import RegistrarEvents

/// The accounts of `rollcall dev`: users and sipusers `u0`… of one domain with the password `secret`. Nothing is
/// kept of them: a hash costs less than remembering it.
struct DevelopmentDirectory: AccountDirectory {
    let domain: DomainName
    let accounts: Int

    private static let password = "secret"

    func verify(_ domain: DomainName, _ account: AccountID, password: String) async -> PasswordVerdict {
        presence(domain, account) == .present && password == Self.password ? .accepted : .refused
    }

    func digest(_ domain: DomainName, _ sipuser: String, _ algorithm: DigestAlgorithm) -> DigestLookup {
        guard presence(domain, AccountID(.sipuser, sipuser)) == .present else { return .noAccount }
        return .found(
            algorithm.hex { input in
                input.append(sipuser)
                input.append(UInt8(ascii: ":"))
                input.append(domain.rawValue)
                input.append(UInt8(ascii: ":"))
                input.append(Self.password)
            })
    }

    func presence(_ domain: DomainName, _ account: AccountID) -> AccountPresence {
        let name = account.name.utf8
        let digits = name.dropFirst()
        guard domain == self.domain, name.first == UInt8(ascii: "u"), (1...9).contains(digits.count),
            digits.count == 1 || digits.first != UInt8(ascii: "0")
        else { return .absent }
        var number = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return .absent }
            number = number * 10 + Int(digit - UInt8(ascii: "0"))
        }
        return number < accounts ? .present : .absent
    }

    func names(_ domain: DomainName, _ kind: AccountKind, after last: String, limit: Int) -> [String] {
        guard domain == self.domain, accounts > 0 else { return [] }
        return AccountRange("u0..u\(accounts - 1)")?.names(after: last, limit: limit) ?? []
    }

    func list(_ domain: DomainName?) -> [AccountEntry] { [] }
    func add(_ accounts: [NewAccount]) throws(DirectoryError) { throw fixed }
    func addRange(
        _ domain: DomainName, _ kind: AccountKind, _ range: String, password: String
    ) throws(DirectoryError) { throw fixed }
    func add(from source: any AccountSource) throws(DirectoryError) { throw fixed }
    func remove(_ domain: DomainName, _ account: AccountID) throws(DirectoryError) { throw fixed }
    func reloadIfChanged() throws(DirectoryError) -> DirectoryChange? { nil }

    private var fixed: DirectoryError { .invalid("the accounts of a development cluster are fixed") }
}
