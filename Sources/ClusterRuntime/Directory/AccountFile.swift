import Digests
import RegistrarEvents

/// The accounts' YAML file: text to table and back.
///
/// ```yaml
/// accounts:
///   demo.example:
///     - { name: "alice", kind: user, password_hash: "scrypt$…" }
///     - { name: "2001", kind: sipuser, ha1_md5: "…", ha1_sha256: "…", ha1_sha512_256: "…" }
///     - { range: "u1..u100", kind: user, password_hash: "scrypt$…" }
/// ```
/// The accounts of a range share a hash, that is a password. Digest hashes are over the name too, so a range
/// has none. Earlier versions wrote sipusers with a `password_hash` and without `ha1_sha512_256`: they are read,
/// and kept as they are.
enum AccountFile {
    /// Largest file, in bytes: some hundred thousand accounts.
    static let maximumSize = 64 << 20
    static let maximumAccounts = 1_000_000

    static func read(_ path: String) throws(DirectoryError) -> AccountTable {
        let problems = ProblemList(file: path)
        var table = AccountTable()
        if let root = YAMLDocument.read(path, limit: maximumSize, problems: problems) {
            let accounts = root.fields(["accounts"])?.required("accounts", "the accounts of each domain")
            for (name, value) in accounts?.entries("a mapping of domains to lists of accounts") ?? [] {
                guard let domain = DomainName(name) else {
                    value.reject("found \(quoted(name))", expected: "a domain name such as demo.example")
                    continue
                }
                for item in value.items(atMost: maximumAccounts) { add(item, of: domain, to: &table) }
            }
        }
        guard problems.count == 0 else { throw .problems(problems.sorted) }
        return table
    }

    /// The file's text, sorted, after the comment it began with.
    static func text(_ table: AccountTable, header: String) -> String {
        var lines = [header + "accounts:" + (table.accounts.isEmpty ? " {}" : "")]
        var domain: DomainName?
        for entry in table.entries(nil) {
            if entry.domain != domain { lines.append("  \(entry.domain):") }
            domain = entry.domain
            lines.append("    - { \(fields(of: entry, in: table)) }")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The comment lines a file begins with: they are kept when the file is written again.
    static func header(of text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false)
            .prefix { $0.hasPrefix("#") || $0.allSatisfy(\.isWhitespace) }
            .dropLast(text.hasSuffix("\n") ? 0 : 1)
            .map { $0 + "\n" }.joined()
    }

    /// In the order in which `DigestHashes` keeps them.
    private static let hashes: [(key: String, algorithm: DigestAlgorithm)] = [
        ("ha1_md5", .md5), ("ha1_sha256", .sha256), ("ha1_sha512_256", .sha512_256),
    ]
    private static let hashKeys = hashes.map(\.key)

    private static func add(_ value: YAMLValue, of domain: DomainName, to table: inout AccountTable) {
        guard let fields = value.fields(["name", "range", "kind", "password_hash"] + hashKeys) else { return }
        let kind = fields.required("kind", "user or sipuser")?
            .choice(AccountKind.allCases.map { ($0.name, $0) })
        let hasDigest = hashKeys.contains { fields[$0] != nil }
        let hash = passwordHash(
            hasDigest ? fields["password_hash"] : fields.required("password_hash", "scrypt$N$r$p$SALT$DIGEST"))
        let digest = digestHashes(fields, kind: kind)
        guard (fields["name"] == nil) != (fields["range"] == nil) else {
            value.reject(
                fields["name"] == nil ? "neither name nor range" : "both name and range",
                expected: "one of the two")
            return
        }
        guard let kind, let credentials = Credentials(password: hash, digest: digest) else { return }
        if let name = name(fields["name"]) {
            if !table.add(domain, AccountID(kind, name), credentials) {
                value.reject("\(kind.name) \(name) is there already", expected: "each account once")
            }
        } else if let range = range(fields["range"]) {
            if !table.add(domain, kind, range, credentials) {
                value.reject(
                    "some of \(kind.name) \(range) are there already",
                    expected: "each account once, and at most \(AccountTable.maximumRanges) ranges a kind")
            }
        }
    }

    private static func name(_ value: YAMLValue?) -> String? {
        guard let value, let text = value.text("an account name") else { return nil }
        if AccountRules.isName(text) { return text }
        value.reject("found \(quoted(text))", expected: AccountRules.nameExpected)
        return nil
    }

    private static func range(_ value: YAMLValue?) -> AccountRange? {
        guard let value, let text = value.text("a range") else { return nil }
        if let range = AccountRange(text), AccountRules.isName(range.prefix + "0") { return range }
        value.reject(
            "found \(quoted(text))",
            expected: AccountRules.rangeExpected)
        return nil
    }

    private static func passwordHash(_ value: YAMLValue?) -> PasswordHash? {
        guard let value, let text = value.text("a hash") else { return nil }
        if let hash = PasswordHash(text) { return hash }
        // Not quoted back: someone may have written the password itself.
        value.reject(
            "not a hash this version can check",
            expected: "scrypt$N$r$p$SALT$DIGEST as `account add` writes it, never a password")
        return nil
    }

    private static func digestHashes(_ fields: YAMLFields, kind: AccountKind?) -> DigestHashes? {
        let given = hashKeys.compactMap { fields[$0] }
        guard let first = given.first else { return nil }
        if fields["range"] != nil || kind == .user {
            first.reject("digest hashes", expected: "them at single sipusers alone")
            return nil
        }
        if fields["ha1_md5"] == nil || fields["ha1_sha256"] == nil {
            first.reject("not all digest hashes", expected: "\(hashKeys.joined(separator: ", ")) together")
            return nil
        }
        let digests = hashes.compactMap { key, algorithm in
            fields[key].map { hex($0, bytes: algorithm.digestLength) ?? [] }
        }
        return DigestHashes(digests.flatMap(\.self))
    }

    private static func hex(_ value: YAMLValue, bytes count: Int) -> [UInt8]? {
        guard let text = value.text("\(2 * count) hex digits") else { return nil }
        if let bytes = Hex.decode(Array(text.utf8)), bytes.count == count { return bytes }
        value.reject("not a hash", expected: "\(2 * count) hex digits")
        return nil
    }

    private static func fields(of entry: AccountEntry, in table: AccountTable) -> String {
        let accounts = table.accounts[AccountTable.Key(domain: entry.domain, kind: entry.kind)]
        let single = accounts?.singles[ExactText(entry.name)]
        let credentials =
            single
            ?? accounts?.ranges.first { $0.range.description == entry.name }?.credentials
        guard let credentials else { preconditionFailure("\(entry.name) is listed but not there") }
        let key = single == nil ? "range" : "name"
        var text = "\(key): \"\(entry.name)\", kind: \(entry.kind.name)"
        if let password = credentials.password { text += ", password_hash: \"\(password)\"" }
        for (key, algorithm) in hashes {
            if let hash = credentials.digest?.hash(algorithm) { text += ", \(key): \"\(hash)\"" }
        }
        return text
    }
}
