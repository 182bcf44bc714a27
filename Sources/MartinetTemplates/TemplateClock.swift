#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What `strftime_now` tells a template: the local time, as Python's `datetime.now()`.
public struct TemplateClock: Sendable {
    /// A broken-down time without a time zone.
    public struct Instant: Sendable, Hashable {
        /// The year, month (1–12) and day (1–31).
        public var year: Int, month: Int, day: Int
        /// The hour (0–23), minute and second.
        public var hour: Int, minute: Int, second: Int
        /// The fraction of the second, 0–999,999.
        public var microsecond: Int

        /// Makes an instant.
        public init(
            year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0, microsecond: Int = 0
        ) {
            self.year = year
            self.month = month
            self.day = day
            self.hour = hour
            self.minute = minute
            self.second = second
            self.microsecond = microsecond
        }
    }

    /// Reads the clock.
    public var now: @Sendable () -> Instant

    /// Makes a clock from a closure.
    public init(now: @escaping @Sendable () -> Instant) { self.now = now }

    /// A clock that stands still, for tests and for reproducible prompts.
    public static func fixed(_ instant: Instant) -> TemplateClock { TemplateClock { instant } }

    /// The machine's clock in its time zone.
    public static let system = TemplateClock {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        var parts = tm()
        var seconds = time.tv_sec
        localtime_r(&seconds, &parts)
        return Instant(
            year: Int(parts.tm_year) + 1900, month: Int(parts.tm_mon) + 1, day: Int(parts.tm_mday),
            hour: Int(parts.tm_hour), minute: Int(parts.tm_min), second: Int(parts.tm_sec),
            microsecond: Int(time.tv_nsec) / 1000)
    }
}

extension TemplateClock.Instant {
    /// The instant written with a `strftime` format of at most 4 KB; `%z` and `%Z` are empty and `%f` is the
    /// microsecond, as for Python's naive `datetime`.
    func formatted(_ format: Text) throws(TemplateError) -> Text {
        guard format.bytes.count <= 4096 else { throw .runtime("the format given to strftime_now is too long") }
        guard !format.bytes.contains(0) else { throw .runtime("strftime_now: embedded null character") }
        var pattern: [CChar] = []
        var index = 0
        while index < format.bytes.count {
            let byte = format.bytes[index]
            index += 1
            guard byte == UInt8(ascii: "%"), index < format.bytes.count else {
                pattern.append(CChar(bitPattern: byte))
                if byte == UInt8(ascii: "%") { pattern.append(CChar(bitPattern: byte)) }
                continue
            }
            switch format.bytes[index] {
            case UInt8(ascii: "f"):
                let digits = String(microsecond + 1_000_000).utf8.dropFirst()
                pattern.append(contentsOf: digits.map { CChar(bitPattern: $0) })
            case UInt8(ascii: "z"), UInt8(ascii: "Z"): break
            // glibc's padded numbers (`%99999d`) would let a format write megabytes.
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                throw .runtime("strftime_now: a width in the format is not supported")
            case let other:
                pattern.append(CChar(bitPattern: byte))
                pattern.append(CChar(bitPattern: other))
            }
            index += 1
        }
        guard !pattern.isEmpty else { return Text() }
        // A leading mark tells an empty answer from one that did not fit.
        pattern.insert(CChar(bitPattern: UInt8(ascii: ">")), at: 0)
        pattern.append(0)
        var parts = brokenDown
        var buffer = [CChar](repeating: 0, count: 1 << 16)
        let written = strftime(&buffer, buffer.count, pattern, &parts)
        guard written > 0 else { throw .runtime("strftime_now: the formatted time is too long") }
        return Text(repairing: buffer[1..<written].map { UInt8(bitPattern: $0) })
    }

    private var brokenDown: tm {
        var parts = tm()
        parts.tm_year = Int32(clamping: year) - 1900
        parts.tm_mon = Int32(clamping: min(max(month, 1), 12)) - 1
        parts.tm_mday = Int32(clamping: min(max(day, 1), 31))
        parts.tm_hour = Int32(clamping: min(max(hour, 0), 23))
        parts.tm_min = Int32(clamping: min(max(minute, 0), 59))
        parts.tm_sec = Int32(clamping: min(max(second, 0), 60))
        parts.tm_isdst = -1
        // Day of the week and of the year, from the calendar alone (Zeller's congruence in Sakamoto's form).
        let bounded = min(max(year, 1), 9999)
        let leap = (bounded % 4 == 0 && bounded % 100 != 0) || bounded % 400 == 0
        let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334]
        let shift = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4]
        let index = Int(parts.tm_mon)
        parts.tm_year = Int32(bounded - 1900)
        parts.tm_yday = Int32(before[index]) + parts.tm_mday - 1 + (leap && index > 1 ? 1 : 0)
        let shifted = bounded - (index < 2 ? 1 : 0)
        parts.tm_wday = Int32(
            (shifted + shifted / 4 - shifted / 100 + shifted / 400 + shift[index] + Int(parts.tm_mday)) % 7)
        return parts
    }
}
