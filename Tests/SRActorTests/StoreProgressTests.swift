import Testing

@testable import SRActor

/// A node whose disk hangs must not vouch for its domains.
struct StoreProgressTests {
    @Test func whatWaitsForTheDiskAllTheTimeHangs() {
        let progress = StoreProgress()
        #expect(progress.look())
        progress.begin()
        #expect(progress.look(), "it may just have begun")
        #expect(!progress.look())
        progress.begin()
        #expect(!progress.look())
        progress.end()
        #expect(progress.look(), "one was through")
        #expect(!progress.look())
        progress.end()
        #expect(progress.look() && progress.look())
    }

    @Test func aBusyDiskDoesNotHang() {
        let progress = StoreProgress()
        for _ in 0..<10 {
            progress.begin()
            #expect(progress.look())
            progress.end()
        }
    }
}
