import ClusterRuntime
import Testing

@testable import NanomsgTransport

/// When a silent peer is asked, and when the connection to it is made anew.
struct PeerSilenceTests {
    private let start = MonotonicInstant(nanoseconds: 1_000_000_000)

    /// What is decided over a time, looked at each 10 ms, as milliseconds and actions.
    private func decisions(
        for limit: Duration, isSending: (Int64) -> Bool = { _ in true },
        signs: (Int64, inout PeerSilence.Signs) -> Void = { _, _ in }
    ) -> [String] {
        var silence = PeerSilence()
        var count = PeerSilence.Signs(heard: 0, asked: 0)
        var decisions: [String] = []
        for time in stride(from: Int64(0), to: limit.milliseconds, by: 10) {
            signs(time, &count)
            let now = start + .milliseconds(Int(time))
            switch silence.look(count, isSending: isSending(time), at: now) {
            case .wait: break
            case .ask: decisions.append("\(time) ask")
            case .connectAnew:
                decisions.append("\(time) connect")
                // A question may be due at the same time.
                continue
            }
            if let due = silence.due { #expect(due > now, "a thread that comes at once would spin") }
        }
        return decisions
    }

    @Test func aSilentPeerIsAskedAndThenConnectedToAnew() {
        let decisions = decisions(for: .milliseconds(5_600))
        #expect(
            decisions == [
                "2000 ask", "2500 ask", "3000 ask", "3500 connect", "3510 ask", "4010 ask", "4500 connect", "4510 ask",
                "5010 ask", "5500 connect", "5510 ask",
            ])
    }

    @Test func onePacketIsEnoughToWaitForASign() {
        #expect(decisions(for: .seconds(3), isSending: { $0 == 500 }) == ["2500 ask"])
    }

    @Test func whoIsSentNothingMayBeSilent() {
        #expect(decisions(for: .seconds(60), isSending: { _ in false }) == [])
    }

    @Test func whoSpeaksIsNotAsked() {
        #expect(decisions(for: .seconds(60), signs: { time, count in if time % 1_900 == 0 { count.heard += 1 } }) == [])
    }

    @Test func whoAnswersQuestionsOnlyIsAskedAgainAndKeepsItsConnection() {
        let decisions = decisions(
            for: .seconds(60),
            signs: { time, count in
                // 300 ms after each question, which comes each 2.3 seconds.
                if time % 2_300 == 0, time > 0 { count.heard += 1 }
            })
        #expect(decisions.count == 26 && decisions.allSatisfy { $0.hasSuffix("ask") })
    }

    @Test func aPeerThatGoesOnAskingDoesNotGetTheAnswers() {
        let decisions = decisions(
            for: .milliseconds(5_500),
            signs: { time, count in
                guard time >= 1_000, time % 500 == 0 else { return }
                count.asked += 1
                count.heard += 1
            })
        #expect(decisions == ["2500 connect", "4000 connect"])
    }

    @Test func aPeerThatAsksNowAndThenGetsTheAnswers() {
        let decisions = decisions(
            for: .seconds(60),
            signs: { time, count in
                if time % 1_900 == 0 { count.asked += 1 }
                if time % 100 == 0 { count.heard += 1 }
            })
        #expect(decisions == [])
    }
}
