import Foundation
import MartinetDownloads
import Synchronization

/// Shows a download on standard error: one moving line on a terminal, a line every few seconds elsewhere.
final class ProgressLine: Sendable {
    private struct State {
        var file = ""
        var shown = ContinuousClock.now - .seconds(60)
        var started = ContinuousClock.now
        var startCount = 0
        var isLineOpen = false
    }

    private let state = Mutex(State())
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let isQuiet: Bool

    init(isQuiet: Bool) { self.isQuiet = isQuiet }

    func show(_ progress: DownloadProgress) {
        guard !isQuiet else { return }
        state.withLock { state in
            switch progress.phase {
            case .downloading:
                let now = ContinuousClock.now
                if state.file != progress.file {
                    state.file = progress.file
                    state.started = now
                    state.startCount = progress.received
                    state.shown = now - .seconds(60)
                }
                let isLast = progress.received == progress.total
                guard isLast || now - state.shown > (isTerminal ? .milliseconds(100) : .seconds(5)) else { return }
                state.shown = now
                let line = Self.line(progress, elapsed: now - state.started, since: state.startCount)
                if isTerminal {
                    Self.write("\r\u{1B}[K" + line)
                    state.isLineOpen = true
                } else {
                    Self.write(line + "\n")
                }
            case .verifying: note("\(progress.file): verifying", &state)
            case .retrying(let reason): note("\(reason); trying again", &state)
            case .nextSource(let reason): note(reason, &state)
            }
        }
    }

    func end() { state.withLock { close(&$0) } }

    private func note(_ text: String, _ state: inout State) {
        close(&state)
        Self.write(text + "\n")
    }

    private func close(_ state: inout State) {
        guard state.isLineOpen else { return }
        state.isLineOpen = false
        Self.write("\n")
    }

    /// `name  43%  [####------]  42.1 of 98.4 MB  11.2 MB/s  5 s left`
    static func line(_ progress: DownloadProgress, elapsed: Duration, since start: Int) -> String {
        let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
        let rate = seconds > 0.2 ? Double(progress.received - start) / seconds : 0
        var parts = [progress.file]
        if let total = progress.total, total > 0 {
            let share = min(1, Double(progress.received) / Double(total))
            let filled = Int(share * 20)
            parts.append("\(Int(share * 100))%")
            parts.append("[" + String(repeating: "#", count: filled) + String(repeating: "-", count: 20 - filled) + "]")
            parts.append("\(ByteText.size(progress.received)) of \(ByteText.size(total))")
        } else {
            parts.append(ByteText.size(progress.received))
        }
        if rate >= 1 {
            parts.append(ByteText.size(Int(rate)) + "/s")
            if let total = progress.total, progress.received < total {
                parts.append("\(Int((Double(total - progress.received) / rate).rounded(.up))) s left")
            }
        }
        return parts.joined(separator: "  ")
    }

    private static func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}

/// Numbers of bytes for people.
enum ByteText {
    /// `98.4 MB`: decimal units, as disks and networks count.
    static func size(_ count: Int) -> String {
        var value = Double(count)
        for unit in ["B", "kB", "MB", "GB"] {
            if value < 1000 { return unit == "B" ? "\(count) B" : "\((value * 10).rounded() / 10) \(unit)" }
            value /= 1000
        }
        return "\((value * 10).rounded() / 10) TB"
    }

    /// A cell of a table, padded to its width.
    static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    /// A table with a heading line; columns as wide as their widest cell.
    static func table(_ rows: [[String]]) -> String {
        guard let columns = rows.first?.count else { return "" }
        let widths = (0..<columns).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let line = zip(row, widths).map { padded($0, $1) }.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed())
        }.joined(separator: "\n")
    }
}
