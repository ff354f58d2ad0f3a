import Glibc

/// Clocks, memory and CPU time of this process.
enum Measuring {
    /// Nanoseconds of CPU time of the calling thread: what other processes do on a shared machine counts little.
    static func threadCPU() -> Int64 { read(CLOCK_THREAD_CPUTIME_ID) }

    /// Nanoseconds of CPU time of all threads of the process.
    static func processCPU() -> Int64 { read(CLOCK_PROCESS_CPUTIME_ID) }

    static func wall() -> Int64 { read(CLOCK_MONOTONIC) }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// Bytes of memory that the process has resident. Source: proc_pid_statm(5), second field.
    static func residentBytes() -> Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var buffer = [CChar](repeating: 0, count: 256)
        guard fgets(&buffer, 256, file) != nil else { return 0 }
        let line = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        let fields = String(decoding: line, as: UTF8.self).split(separator: " ")
        return (Int(fields[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// Keeps the optimiser from leaving out what computes `value`.
    @inline(never)
    static func keep<Value>(_ value: borrowing Value) {}
}
