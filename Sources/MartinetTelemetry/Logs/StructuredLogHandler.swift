public import Logging

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#elseif canImport(Darwin)
    internal import Darwin
#endif

/// How log lines look.
public enum LogFormat: String, Sendable, CaseIterable {
    /// `2026-01-31T12:00:00.000Z info message key=value`
    case text
    /// One JSON object a line.
    case json
}

/// Writes each log record as one line to standard error, in one call, so that lines of several threads do not mix.
public struct StructuredLogHandler: LogHandler {
    private let label: String
    private let format: LogFormat
    /// What is logged: this level and above.
    public var logLevel: Logger.Level
    /// Goes with every record.
    public var metadata: Logger.Metadata = [:]

    /// A handler for a label.
    public init(label: String, format: LogFormat, level: Logger.Level) {
        self.label = label
        self.format = format
        logLevel = level
    }

    /// One key of what goes with every record.
    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Writes a record.
    public func log(event: LogEvent) {
        let metadata = metadata.merging(event.metadata ?? [:]) { _, new in new }
        Self.write(
            Self.line(
                format: format, time: Self.timestamp(), level: event.level, label: label,
                message: event.message.description, metadata: metadata))
    }

    package static func line(
        format: LogFormat, time: String, level: Logger.Level, label: String, message: String,
        metadata: Logger.Metadata
    ) -> String {
        let members = metadata.sorted { $0.key < $1.key }
        switch format {
        case .text:
            var line = "\(time) \(level.rawValue) \(singleLine(message))"
            for (key, value) in members { line += " \(key)=\(quoted(value.description))" }
            return line + "\n"
        case .json:
            var line = "{\"time\":\"\(time)\",\"level\":\"\(level.rawValue)\",\"logger\":\(json(label))"
            line += ",\"message\":\(json(message))"
            for (key, value) in members { line += ",\(json(key)):\(json(value))" }
            return line + "}\n"
        }
    }

    private static func json(_ value: Logger.MetadataValue) -> String {
        switch value {
        case .string(let text): json(text)
        case .stringConvertible(let value):
            switch value {
            case let number as Int: "\(number)"
            case let number as Double where number.isFinite: "\(number)"
            case let flag as Bool: "\(flag)"
            default: json(value.description)
            }
        case .array(let values): "[\(values.map(json).joined(separator: ","))]"
        case .dictionary(let members):
            "{\(members.sorted { $0.key < $1.key }.map { "\(json($0.key)):\(json($0.value))" }.joined(separator: ","))}"
        }
    }

    private static func json(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\r": quoted += "\\r"
            case "\t": quoted += "\\t"
            case _ where scalar.value < 0x20:
                quoted += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }

    /// What clients send may reach messages; it must not forge lines or move the terminal's cursor.
    private static func singleLine(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else { return text }
        return String(
            String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? " " : $0 }))
    }

    private static func quoted(_ text: String) -> String {
        let plain = text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0 != "\"" && $0 != "=" && $0.value != 0x7F }
        return plain && !text.isEmpty ? text : json(text)
    }

    private static func timestamp() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var parts = tm()
        var seconds = now.tv_sec
        gmtime_r(&seconds, &parts)
        func padded(_ number: Int, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let date = [
            padded(Int(parts.tm_year) + 1900, 4), padded(Int(parts.tm_mon) + 1, 2), padded(Int(parts.tm_mday), 2),
        ]
        let time = [padded(Int(parts.tm_hour), 2), padded(Int(parts.tm_min), 2), padded(Int(parts.tm_sec), 2)]
        return "\(date.joined(separator: "-"))T\(time.joined(separator: ":")).\(padded(now.tv_nsec / 1_000_000, 3))Z"
    }

    private static func write(_ line: String) {
        var line = line
        line.withUTF8 { buffer in
            var offset = 0
            while offset < buffer.count, let base = buffer.baseAddress {
                #if canImport(Glibc)
                    let written = Glibc.write(STDERR_FILENO, base + offset, buffer.count - offset)
                #elseif canImport(Musl)
                    let written = Musl.write(STDERR_FILENO, base + offset, buffer.count - offset)
                #else
                    let written = Darwin.write(STDERR_FILENO, base + offset, buffer.count - offset)
                #endif
                // A closed or full standard error must not stop the server.
                guard written > 0 else { return }
                offset += written
            }
        }
    }
}
