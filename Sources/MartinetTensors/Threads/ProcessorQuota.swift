import Glibc

/// What the system lets this process use of the machine's processors.
package enum ProcessorQuota {
    /// Cores in this thread's affinity mask; all that are on line where the system does not say.
    static var allowedCores: Int {
        if let status = text(of: "/proc/thread-self/status"), let cores = parse(status: status) { return cores }
        return max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    }

    /// Counts the cores of the line `Cpus_allowed_list: 0-3,8` in a process's status.
    package static func parse(status: String) -> Int? {
        let key = "Cpus_allowed_list:"
        guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix(key) }) else { return nil }
        var cores = 0
        for range in line.dropFirst(key.count).split(separator: ",") {
            let ends = range.split(separator: "-").map { Int($0.filter { !$0.isWhitespace }) }
            guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2,
                first >= 0, last >= first, last < 1 << 20
            else { return nil }
            cores += last - first + 1
        }
        return cores > 0 ? cores : nil
    }

    /// The control group's limit in cores, or `nil` where there is none. Reads both versions of control groups as a
    /// container sees them.
    static var current: Double? {
        if let unified = text(of: "/sys/fs/cgroup/cpu.max") { return parse(unified: unified) }
        guard let quota = text(of: "/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
            let period = text(of: "/sys/fs/cgroup/cpu/cpu.cfs_period_us")
        else { return nil }
        return parse(unified: quota + " " + period)
    }

    /// Reads `max 100000` or `150000 100000`: microseconds granted in a period, and the period.
    package static func parse(unified text: String) -> Double? {
        let fields = text.split(whereSeparator: \.isWhitespace)
        guard fields.count == 2, let quota = Double(fields[0]), let period = Double(fields[1]), quota > 0, period > 0
        else { return nil }
        let cores = quota / period
        return cores.isFinite && cores < 100_000 ? cores : nil
    }

    private static func text(of path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 8192)
        let length = read(file, &bytes, bytes.count)
        guard length > 0 else { return nil }
        return String(decoding: bytes[..<length], as: UTF8.self)
    }
}
