import ArgumentParser
import Foundation
import Logging
import MartinetTelemetry

extension Settings {
    /// The logger of a process that serves: to standard error, as `--log-level` and `--log-format` say.
    func logger(level givenLevel: String?, format givenFormat: String?) throws -> Logger {
        let levelName = text("log-level", givenLevel) ?? "info"
        guard let level = Logger.Level(rawValue: levelName) else {
            let names = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--log-level must be one of \(names), but is `\(levelName)`.")
        }
        var format: LogFormat = isatty(STDERR_FILENO) == 1 ? .text : .json
        if let name = text("log-format", givenFormat) {
            guard let value = LogFormat(rawValue: name) else {
                throw ValidationError("--log-format must be text or json, but is `\(name)`.")
            }
            format = value
        }
        return Logger(label: "martinet") { [format] label in
            StructuredLogHandler(label: label, format: format, level: level)
        }
    }
}
