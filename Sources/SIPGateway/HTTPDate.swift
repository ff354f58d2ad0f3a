import Synchronization

/// A date as RFC 3261 section 20.17 has it: `Sat, 13 Nov 2010 23:29:00 GMT`. Made once a second.
enum HTTPDate {
    private static let latest = Mutex<(second: Int64, text: String)>((.min, ""))

    static func text(milliseconds: Int64) -> String {
        let second = milliseconds / 1_000
        return latest.withLock { latest in
            if latest.second != second { latest = (second, format(second)) }
            return latest.text
        }
    }

    private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    private static func format(_ second: Int64) -> String {
        let day = second / 86_400
        let time = second % 86_400
        let (year, month, date) = civil(day)
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(days[Int(day % 7)]), \(two(date)) \(months[month - 1]) \(year) "
            + "\(two(time / 3_600)):\(two(time / 60 % 60)):\(two(time % 60)) GMT"
    }

    /// The date of a day since 1970 in the Gregorian calendar, by counting years from March: then the leap day is the
    /// last of its year.
    private static func civil(_ day: Int64) -> (year: Int64, month: Int, date: Int64) {
        let shifted = day + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let date = dayOfYear - (153 * month + 2) / 5 + 1
        let civilMonth = Int(month < 10 ? month + 3 : month - 9)
        return (yearOfEra + era * 400 + (civilMonth <= 2 ? 1 : 0), civilMonth, date)
    }
}
