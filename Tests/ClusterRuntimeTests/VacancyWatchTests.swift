import ClusterRuntime
import Testing

struct VacancyWatchTests {
    @Test func aVacancyIsToldOnce() {
        var watch = VacancyWatch()
        #expect(watch.handle(.begin) == [.look])
        #expect(watch.handle(.looked(revision: 7, isVacant: false)) == [.follow(after: 7)])
        #expect(watch.handle(.changed(revision: 9, isVacant: true)) == [.vacant])
        #expect(watch.handle(.changed(revision: 12, isVacant: true)) == [])
        #expect(watch.handle(.changed(revision: 13, isVacant: false)) == [])
        #expect(watch.handle(.changed(revision: 20, isVacant: true)) == [.vacant])
    }

    @Test func aVacancyThatIsThereAtFirstIsTold() {
        var watch = VacancyWatch()
        #expect(watch.handle(.looked(revision: 7, isVacant: true)) == [.vacant, .follow(after: 7)])
    }

    @Test(arguments: [VacancyWatch.Event.ended, .failed]) func itGoesOnAfterWhatItWasHanded(end: VacancyWatch.Event) {
        var watch = VacancyWatch(after: 5)
        #expect(watch.handle(.begin) == [.follow(after: 5)])
        _ = watch.handle(.changed(revision: 8, isVacant: false))
        #expect(watch.handle(end) == [.pause(isLong: end == .failed)])
        #expect(watch.handle(.begin) == [.follow(after: 8)])
    }

    @Test func whatWasCompactedIsLookedAtAnew() {
        var watch = VacancyWatch(after: 5)
        #expect(watch.handle(.changed(revision: 6, isVacant: true)) == [.vacant])
        #expect(watch.handle(.refused) == [.pause(isLong: false)])
        #expect(watch.handle(.begin) == [.look])
        // Somebody may have led in between: it is told again.
        #expect(watch.handle(.looked(revision: 30, isVacant: true)) == [.vacant, .follow(after: 30)])
    }
}
