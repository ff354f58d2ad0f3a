/// How the routers reach an etcd cluster, and where in it their own keys are.
public struct EtcdSpec: Hashable, Sendable {
    /// Addresses of members, such as `http://127.0.0.1:2379`: scheme, host and port. At least one.
    public let endpoints: [String]
    /// What every key begins with, such as `/rollcall/local`; no slash at its end.
    public let prefix: String
    /// Nil for `https` with the machine's own CAs, and for `http`.
    public let tls: TLS?
    /// Nil where etcd asks for no password.
    public let login: Login?

    public struct TLS: Hashable, Sendable {
        /// Certificates in PEM of those who may sign the members'; nil for the machine's own CAs.
        public let caPath: String?
        /// The certificate chain and key, in PEM, that this side shows; both or none.
        public let certificatePath: String?
        public let keyPath: String?

        public init(caPath: String? = nil, certificatePath: String? = nil, keyPath: String? = nil) {
            self.caPath = caPath
            self.certificatePath = certificatePath
            self.keyPath = keyPath
        }
    }

    public struct Login: Hashable, Sendable {
        public let user: String
        /// A file with the password alone; a line's end behind it does not count.
        public let passwordPath: String

        public init(user: String, passwordPath: String) {
            self.user = user
            self.passwordPath = passwordPath
        }
    }

    public init(endpoints: [String], prefix: String, tls: TLS? = nil, login: Login? = nil) {
        precondition(!endpoints.isEmpty, "etcd without an endpoint")
        self.endpoints = endpoints
        self.prefix = prefix
        self.tls = tls
        self.login = login
    }
}

/// Why the password could not be had.
public struct EtcdPasswordError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
}

extension EtcdSpec.Login {
    /// Longest password accepted, in bytes.
    private static let maximumLength = 1024

    /// Reads the file anew each time, so that a changed password needs no restart.
    /// - Throws: when the file cannot be read, is empty, or everybody may read it.
    public func password() throws(EtcdPasswordError) -> String {
        do throws(FileFault) {
            try LocalFile.refuseForEverybody(passwordPath)
            let bytes = try LocalFile.read(passwordPath, limit: Self.maximumLength)
            let line = bytes.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
            guard let password = String(validating: line, as: UTF8.self), !password.isEmpty else {
                throw FileFault(wrong: "\(passwordPath) holds no password", expected: "one line of UTF-8")
            }
            return password
        } catch {
            throw EtcdPasswordError(description: "\(error.wrong); expected \(error.expected)")
        }
    }
}

/// The address of an etcd member.
struct EtcdEndpoint: Hashable {
    let isSecure: Bool
    /// In lower case, without the brackets of an IPv6 address.
    let host: String
    let port: Int

    /// Etcd's own.
    static let defaultPort = 2379

    /// Nil unless it is `http://` or `https://`, a host name or address, and perhaps a port.
    init?(_ text: String) {
        guard let colon = text.firstRange(of: "://") else { return nil }
        switch text[..<colon.lowerBound].lowercased() {
        case "http": isSecure = false
        case "https": isSecure = true
        default: return nil
        }
        var rest = text[colon.upperBound...]
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        // An IPv6 address is in brackets, so that its colons are not taken for the port's.
        let bracket = rest.hasPrefix("[") ? rest.firstIndex(of: "]") : rest.startIndex
        guard let bracket else { return nil }
        if let portColon = rest[bracket...].firstIndex(of: ":") {
            guard let port = Int(rest[rest.index(after: portColon)...]), (1...65_535).contains(port) else { return nil }
            self.port = port
            rest = rest[..<portColon]
        } else {
            port = Self.defaultPort
        }
        host = (rest.hasPrefix("[") && rest.hasSuffix("]") ? rest.dropFirst().dropLast() : rest).lowercased()
        guard NetworkAddress.isValid(host), rest.hasPrefix("[") == host.contains(":") else { return nil }
    }

    var url: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return "\(isSecure ? "https" : "http")://\(name):\(port)"
    }
}
