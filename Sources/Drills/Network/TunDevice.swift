import Foundation

/// A network interface whose packets a program reads and writes: a TUN device (Linux, Documentation/networking), made
/// in the network namespace of the calling thread. It is gone when its descriptor is closed, wherever it was moved.
struct TunDevice: Sendable {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    let name: String
    /// Reads and writes whole IP packets, and never blocks.
    let descriptor: Int32

    private static let path = "/dev/net/tun"
    /// `_IOW('T', 202, int)`.
    private static let setInterface: UInt = 0x4004_54CA
    /// `IFF_TUN | IFF_NO_PI`: IP packets, without a header of the kernel's own.
    private static let flags: UInt16 = 0x1001
    /// The size of `struct ifreq`, and of the name at its beginning.
    private static let requestSize = 40
    private static let nameSize = 16

    /// - Throws: `Failure` when the kernel has no such devices, or this process may not make them.
    init(name: String) throws(Failure) {
        precondition(name.utf8.count < Self.nameSize, "\(name) is too long for an interface's name")
        let descriptor = open(Self.path, O_RDWR | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw Failure(description: "cannot open \(Self.path): \(String(cString: strerror(errno)))")
        }
        var request = [UInt8](name.utf8)
        request += Array(repeating: 0, count: Self.nameSize - request.count)
        request += withUnsafeBytes(of: Self.flags) { Array($0) }
        request += Array(repeating: 0, count: Self.requestSize - request.count)
        let isMade = request.withUnsafeMutableBytes { bytes in
            bytes.baseAddress.map { ioctl(descriptor, Self.setInterface, $0) == 0 } ?? false
        }
        guard isMade else {
            let reason = String(cString: strerror(errno))
            Foundation.close(descriptor)
            throw Failure(description: "cannot make the interface \(name): \(reason)")
        }
        self.name = name
        self.descriptor = descriptor
    }

    func close() { Foundation.close(descriptor) }
}
