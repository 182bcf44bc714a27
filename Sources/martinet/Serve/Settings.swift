import ArgumentParser
import Foundation
import MartinetModels

/// Takes a setting from its flag, else from the environment, else from the configuration file (`--max-num-seqs`, then
/// `MARTINET_MAX_NUM_SEQS`, then `max_num_seqs`).
struct Settings {
    var environment = ProcessInfo.processInfo.environment
    /// What the configuration file says, by the flags' names with underscores.
    var file: [String: String] = [:]

    /// The name of a flag in a configuration file.
    static func key(_ flag: String) -> String { flag.replacingOccurrences(of: "-", with: "_") }

    /// What is said beside the flag itself, and where.
    private func found(_ flag: String) -> (text: String, place: String)? {
        let variable = Self.variable(flag)
        if let text = environment[variable], !text.isEmpty { return (text, variable) }
        return file[Self.key(flag)].map { ($0, "`\(Self.key(flag))` in the configuration file") }
    }

    /// The same settings, with those of one model of the file before the others of the file.
    func merging(_ others: [String: String]) -> Settings {
        var merged = self
        merged.file.merge(others) { $1 }
        return merged
    }

    static func variable(_ flag: String) -> String {
        "MARTINET_" + flag.uppercased().replacingOccurrences(of: "-", with: "_")
    }

    func value<Value: LosslessStringConvertible>(_ flag: String, _ given: Value?, kind: String) throws -> Value? {
        if let given { return given }
        guard let (text, place) = found(flag) else { return nil }
        guard let value = Value(text) else {
            throw ValidationError("\(place) must be \(kind), but is `\(text)`.")
        }
        return value
    }

    func text(_ flag: String, _ given: String?) -> String? {
        given ?? found(flag)?.text
    }

    func integer(_ flag: String, _ given: Int?, in range: ClosedRange<Int>) throws -> Int? {
        guard let value = try value(flag, given, kind: "an integer") else { return nil }
        guard range.contains(value) else {
            let expected =
                range.upperBound == .max
                ? "at least \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)"
            throw ValidationError("--\(flag) must be \(expected), but is \(value).")
        }
        return value
    }

    /// A span of at most a day.
    func seconds(_ flag: String, _ given: Double?) throws -> Duration? {
        guard let value = try value(flag, given, kind: "a number of seconds") else { return nil }
        guard value >= 0, value <= 86_400 else {
            throw ValidationError("--\(flag) must be from 0 to 86400 seconds, but is \(value).")
        }
        return .milliseconds(Int(value * 1000))
    }

    /// The instruction set of a name; `nil` for `auto`.
    func instructionSet(_ name: String) throws -> InstructionSet? {
        do {
            return try InstructionSet.named(name)
        } catch {
            throw ValidationError("--instruction-set: \(error.message).")
        }
    }

    /// A number of bytes: `1073741824`, `512MiB`, `4G`.
    func bytes(_ flag: String, _ given: String?) throws -> Int? {
        guard let text = text(flag, given) else { return nil }
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = text.dropFirst(digits.count).lowercased()
        let shifts = [
            "": 0, "b": 0, "k": 10, "kb": 10, "kib": 10, "m": 20, "mb": 20, "mib": 20, "g": 30, "gb": 30, "gib": 30,
        ]
        guard let number = Double(digits), let shift = shifts[unit], number > 0, number < 1e12 else {
            throw ValidationError("--\(flag) must be a number of bytes such as 4GiB, but is `\(text)`.")
        }
        let bytes = number * Double(1 << shift)
        guard bytes >= 1, bytes < 1e18 else {
            throw ValidationError("--\(flag) is out of range: `\(text)`.")
        }
        return Int(bytes)
    }
}
