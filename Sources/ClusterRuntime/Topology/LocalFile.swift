import Foundation

/// Why a file could not be read or written, in words for an operator.
package struct FileFault: Error, Hashable {
    package let wrong: String
    package let expected: String
}

/// The few file operations the configuration needs, each of which either happens whole or not at all.
package enum LocalFile {
    /// Reads a regular file.
    /// - Throws: when it is missing, unreadable, not a regular file, or over `limit` bytes.
    static func read(_ path: String, limit: Int) throws(FileFault) -> [UInt8] {
        // Without O_NONBLOCK a FIFO would hang the reader before its kind is known.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw FileFault(wrong: "cannot read \(path) (\(reason()))", expected: "a readable file")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw FileFault(wrong: "\(path) is not a regular file", expected: "a regular file")
        }
        guard Int(status.st_size) <= limit else { throw tooLarge(path, limit) }
        let bytes = try readAll(descriptor, path: path, limit: limit)
        guard bytes.count <= limit else { throw tooLarge(path, limit) }
        return bytes
    }

    /// Creates a file with its whole contents unless one is there already: of several processes that try, one
    /// wins, and no one ever sees a part of the file.
    /// - Returns: whether this call created it.
    @discardableResult
    package static func createOnce(_ path: String, _ contents: [UInt8]) throws(FileFault) -> Bool {
        try createDirectory(of: path)
        let temporary = try writeTemporary(beside: path, contents)
        defer { unlink(temporary) }
        if link(temporary, path) == 0 {
            syncDirectory(of: path)
            return true
        }
        guard errno == EEXIST else { throw cannotWrite(path) }
        return false
    }

    /// Replaces a file's contents, or creates it. The file keeps its owner, so that a change made by root
    /// does not lock the service out; its mode becomes 0600, unless it was 0640, which somebody then chose.
    static func replace(_ path: String, _ contents: [UInt8]) throws(FileFault) {
        var old = stat()
        let existed = stat(path, &old) == 0
        let temporary = try writeTemporary(beside: path, contents)
        if existed {
            // Only root can give a file away; for others the owner is the same anyway.
            _ = chown(temporary, old.st_uid, old.st_gid)
            if old.st_mode & 0o777 == 0o640 { chmod(temporary, 0o640) }
        }
        guard rename(temporary, path) == 0 else {
            let fault = cannotWrite(path)
            unlink(temporary)
            throw fault
        }
        syncDirectory(of: path)
    }

    /// A file that holds a secret is not for everybody.
    /// - Throws: when others than its owner and group may use it. Nothing when it is missing.
    static func refuseForEverybody(_ path: String) throws(FileFault) {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & 0o007 != 0 else { return }
        throw FileFault(
            wrong: "\(path) has mode 0\(String(status.st_mode & 0o777, radix: 8)): everybody may use it",
            expected: "mode 0600")
    }

    /// Runs `body` while holding an advisory lock that other processes (and other callers here) respect.
    package static func withLock<Result>(
        on path: String, _ body: () throws(DirectoryError) -> Result
    ) throws(DirectoryError) -> Result {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0, flock(descriptor, LOCK_EX) == 0 else {
            let fault = cannotWrite(path)
            if descriptor >= 0 { close(descriptor) }
            throw .file("\(fault.wrong); expected \(fault.expected)")
        }
        defer { close(descriptor) }
        giveAway(descriptor, beside: path)
        return try body()
    }

    /// A lock that root makes is the locked file's owner's, so that root does not lock the service out by it.
    private static func giveAway(_ descriptor: Int32, beside path: String) {
        var locked = stat()
        guard geteuid() == 0, path.hasSuffix(lockSuffix), stat(String(path.dropLast(lockSuffix.count)), &locked) == 0
        else { return }
        _ = fchown(descriptor, locked.st_uid, locked.st_gid)
    }

    private static let lockSuffix = ".lock"

    private static func readAll(
        _ descriptor: Int32, path: String, limit: Int
    ) throws(FileFault) -> [UInt8] {
        var contents: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while contents.count <= limit {
            let count = Foundation.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw FileFault(wrong: "cannot read \(path) (\(reason()))", expected: "a readable file")
            }
            if count == 0 { break }
            contents += chunk[..<count]
        }
        return contents
    }

    private static func writeTemporary(beside path: String, _ contents: [UInt8]) throws(FileFault) -> String {
        let temporary = "\(path).\(getpid()).\(UInt32.random(in: 0 ... .max)).tmp"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw cannotWrite(path) }
        defer { close(descriptor) }
        var written = 0
        while written < contents.count {
            let count = contents[written...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            written += count
        }
        guard written == contents.count, fsync(descriptor) == 0 else {
            let fault = cannotWrite(path)
            unlink(temporary)
            throw fault
        }
        return temporary
    }

    static func createDirectory(of path: String) throws(FileFault) {
        let directory = (path as NSString).deletingLastPathComponent
        guard !directory.isEmpty else { return }
        do {
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw FileFault(wrong: "cannot create \(directory) (\(error))", expected: "a writable directory")
        }
    }

    /// A rename or link outlives a power cut only once its directory is on disk. A file system that cannot
    /// sync a directory has nothing better to offer, so its refusal is not an error.
    private static func syncDirectory(of path: String) {
        let directory = (path as NSString).deletingLastPathComponent
        let descriptor = open(directory.isEmpty ? "." : directory, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    private static func cannotWrite(_ path: String) -> FileFault {
        FileFault(
            wrong: "cannot write \(path) (\(reason()))", expected: "a writable directory with room in it")
    }

    private static func tooLarge(_ path: String, _ limit: Int) -> FileFault {
        FileFault(wrong: "\(path) is too large", expected: "at most \(Quantity.text(bytes: limit))")
    }

    private static func reason() -> String { String(cString: strerror(errno)) }
}
