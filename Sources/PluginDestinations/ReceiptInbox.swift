import ClusterRuntime
import MessagePack
import NIOCore
import NIOPosix

/// The PULL end at which a node takes its plugins' receipts.
final class ReceiptInbox: Sendable {
    /// Kinds of messages, docs/wire.md.
    private static let receiptKind: UInt64 = 2
    /// Bytes of a message; a receipt is short.
    private static let maximumMessage = 1_024

    private let channel: any Channel

    /// Listens at a port that the system chooses.
    /// - Parameter take: gets each receipt, on an event loop
    init(host: String, group: any EventLoopGroup, take: @escaping @Sendable ([UInt8]) -> Void) async throws {
        channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        SPHandler(role: .pull, maximumMessage: Self.maximumMessage) { event in
                            guard case .message(let message) = event else { return }
                            if let receipt = Self.receipt(in: message) {
                                take(receipt)
                            } else {
                                // Whoever speaks something else may stop speaking.
                                channel.close(promise: nil)
                            }
                        })
                }
            }
            .bind(host: host, port: 0).get()
    }

    /// Where it listens.
    var port: Int { channel.localAddress?.port ?? 0 }

    func close() async {
        // It can only say that it is closed already.
        try? await channel.close()
    }

    /// The receipt of `[2, receipt]`; empty for a message of a later version, nil for what is no message.
    private static func receipt(in message: ByteBuffer) -> [UInt8]? {
        do {
            return try MessagePack.decode(Array(message.readableBytesView)) { value throws(MessagePackError) in
                let fields = try value.array()
                return try fields.unsigned(0) == receiptKind ? try fields.binary(1) : []
            }
        } catch {
            return nil
        }
    }
}
