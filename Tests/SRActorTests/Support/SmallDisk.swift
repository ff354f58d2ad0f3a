import Foundation
import Glibc
import Testing

/// A file system of one mebibyte, to be filled.
///
/// It needs the right to mount: as root, or in `unshare --user --map-root-user --mount`. Without it the test fails and
/// says so, since a full disk that nobody tried is a full disk that nobody knows.
enum SmallDisk {
    static func with(_ body: (String) async throws -> Void) async throws {
        let directory = NSTemporaryDirectory() + "/rollcall-disk-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { rmdir(directory) }
        guard mount("tmpfs", directory, "tmpfs", 0, "size=1m") == 0 else {
            Issue.record("cannot mount a small disk (\(String(cString: strerror(errno)))): run the tests as root")
            return
        }
        defer { umount2(directory, Int32(MNT_DETACH)) }
        try await body(directory)
    }

    /// Takes up what is left.
    static func fill(_ directory: String) {
        let file = open(directory + "/ballast", O_WRONLY | O_CREAT, 0o600)
        let block = [UInt8](repeating: 1, count: 4_096)
        while write(file, block, block.count) == block.count {}
        close(file)
    }

    /// Gives back so many bytes of it.
    static func free(_ bytes: Int, _ directory: String) {
        var status = stat()
        stat(directory + "/ballast", &status)
        truncate(directory + "/ballast", status.st_size - off_t(bytes))
    }

    static func empty(_ directory: String) { unlink(directory + "/ballast") }

    /// Waits for a condition that another thread brings about.
    static func wait(_ what: String, until isTrue: () -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while !isTrue() {
            guard ContinuousClock.now < deadline else {
                Issue.record("waited in vain until \(what)")
                return
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }
}
