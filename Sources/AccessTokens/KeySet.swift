import ClusterRuntime

/// The keys of one key set's file, as it was when it could last be used.
struct KeySet: Sendable {
    private let spec: TokenKeySetSpec
    private(set) var keys: [(kid: String?, key: IssuerKey)]
    /// Of the file that the keys are of; nil when it is gone.
    private var stamp: FileStamp?
    /// Why the file could not be used at the last look.
    private(set) var problem: TokenKeyError?

    /// - Throws: when the file cannot be used.
    init(_ spec: TokenKeySetSpec) async throws(TokenKeyError) {
        self.spec = spec
        stamp = FileStamp(path: spec.path)
        keys = try await KeySetFile.read(spec)
    }

    /// Reads the file again when it has changed, or could not be used at the last look.
    /// - Returns: whether the keys are others now.
    mutating func reloadIfChanged() async -> Bool {
        let present = FileStamp(path: spec.path)
        guard present != stamp || problem != nil else { return false }
        if present == nil, FileStamp.isMissing(spec.path) {
            let isNews = stamp != nil
            (keys, stamp, problem) = ([], nil, nil)
            return isNews
        }
        do throws(TokenKeyError) {
            keys = try await KeySetFile.read(spec)
            (stamp, problem) = (present, nil)
            return true
        } catch {
            problem = error
            return false
        }
    }
}
