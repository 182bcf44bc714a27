import Foundation

/// Text for people: standard output for what was asked for, standard error for what goes along.
enum Console {
    static func output(_ text: String, terminator: String = "\n") {
        FileHandle.standardOutput.write(Data((text + terminator).utf8))
    }

    static func note(_ text: String, terminator: String = "\n") {
        FileHandle.standardError.write(Data((text + terminator).utf8))
    }

    /// Whether a person types at standard input.
    static var isInteractive: Bool { isatty(STDIN_FILENO) == 1 }

    /// `1.5 GiB`, `300 MiB`.
    static func bytes(_ count: Int) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        var value = Double(count)
        var unit = 0
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        let digits = unit == 0 || value >= 100 ? 0 : 1
        return String(format: "%.\(digits)f ", value) + units[unit]
    }
}
