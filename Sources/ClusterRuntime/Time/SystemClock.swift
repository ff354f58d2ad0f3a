#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The machine's own clocks. Shells read them; machines are told.
public enum SystemClock {
    /// CLOCK_BOOTTIME: keeps counting through suspend, so a lease cannot outlive a closed lid.
    /// Source: clock_gettime(2).
    public static func monotonic() -> MonotonicInstant { MonotonicInstant(nanoseconds: read(CLOCK_BOOTTIME)) }

    /// Milliseconds since 1970. Source: CLOCK_REALTIME, clock_gettime(2).
    public static func wall() -> Int64 { read(CLOCK_REALTIME) / 1_000_000 }

    public static func now() -> Moment { Moment(monotonic: monotonic(), wall: wall()) }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
