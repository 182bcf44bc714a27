internal import Foundation
package import MartinetEngine
internal import Synchronization

/// A child process of its own process group, so that a terminal's Ctrl-C reaches the supervisor alone.
///
/// Its standard input is a pipe that nothing is written to: it reads the end of input when this process is gone, however
/// that ended. It inherits no descriptor beside the first three.
package final class WorkerProcess: Sendable {
    /// The process id; another process may have it once this one has ended.
    package let id: Int32
    private let outcome = OneShot<WorkerExit>()
    private struct State {
        var isReaped = false
        var input: Int32
    }
    private let state: Mutex<State>

    /// Starts the process.
    ///
    /// - Throws: ``EngineError`` where the system does not let it.
    package init(_ command: WorkerCommand) throws(EngineError) {
        MemoryEvents.begin()
        let (code, id, input, output) = Self.spawning.withLock { _ in Self.spawn(command) }
        guard code == 0 else {
            throw EngineError(
                .unavailable, "The worker \(command.executable) did not start: \(String(cString: strerror(code))).")
        }
        self.id = id
        state = Mutex(State(input: input))
        if case .lines(let take) = command.output {
            Self.startThread("martinet-worker-output") { Self.readLines(output, take) }
        }
        Self.startThread("martinet-worker-wait") { [self] in reap() }
    }

    /// Whether a signal has stopped it, as SIGSTOP does; a stopped process is not one that hangs.
    package var isStopped: Bool {
        // The name in parentheses may hold anything; the state is behind the last one.
        guard let line = try? String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8),
            let end = line.lastIndex(of: ")")
        else { return false }
        return line[end...].dropFirst(2).first == "T"
    }

    /// How it ended, where it has.
    package var exit: WorkerExit? { outcome.current }

    /// Waits for its end; `nil` where the task is cancelled first.
    package func waitForExit() async -> WorkerExit? { await outcome.wait() }

    /// Asks it to end.
    package func terminate() { send(SIGTERM, toGroup: false) }

    /// Ends it and all that it started.
    package func kill() { send(SIGKILL, toGroup: true) }

    /// Asks it to end, waits, and kills it where it does not end in time; a task's cancellation kills it at once.
    package func end(within grace: Duration) async {
        terminate()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { _ = await self.waitForExit() }
            group.addTask { try? await Task.sleep(for: grace) }
            await group.next()
            group.cancelAll()
        }
        kill()
        // The kernel does not refuse SIGKILL; the waiting thread reaps it.
        _ = await Task { await self.waitForExit() }.value
    }

    private func send(_ signal: Int32, toGroup: Bool) {
        // Not after it has been reaped: its id may be another's.
        state.withLock { state in
            guard !state.isReaped else { return }
            _ = Foundation.kill(toGroup ? -id : id, signal)
        }
    }

    private func reap() {
        var info = siginfo_t()
        while waitid(P_PID, id_t(id), &info, WEXITED | WNOWAIT) == -1, errno == EINTR {}
        var status: Int32 = 0
        let input = state.withLock { state in
            while waitpid(id, &status, 0) == -1, errno == EINTR {}
            state.isReaped = true
            return state.input
        }
        close(input)
        let isOutOfMemory = status & 0x7f == SIGKILL && MemoryEvents.takeKill()
        outcome.set(WorkerExit(waitStatus: status, outOfMemory: isOutOfMemory))
    }

    /// One at a time: a descriptor is closed at exec only from a moment after it was made.
    private static let spawning = Mutex(())

    /// A pipe that programs started later do not inherit.
    private static func makePipe() -> (read: Int32, write: Int32)? {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    /// - Returns: zero or an error's number, the process, and this side's ends of its input and output.
    private static func spawn(_ command: WorkerCommand) -> (code: Int32, id: Int32, input: Int32, output: Int32) {
        guard let input = makePipe() else { return (errno, 0, -1, -1) }
        defer { close(input.read) }
        var output: (read: Int32, write: Int32)?
        if case .lines = command.output {
            output = makePipe()
            guard output != nil else {
                defer { close(input.write) }
                return (errno, 0, -1, -1)
            }
        }
        defer { if let output { close(output.write) } }
        let (code, id) = spawn(command, input: input.read, output: output?.write)
        if code != 0 {
            close(input.write)
            if let output { close(output.read) }
        }
        return (code, id, input.write, output?.read ?? -1)
    }

    private static func spawn(_ command: WorkerCommand, input: Int32, output: Int32?) -> (code: Int32, id: Int32) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input, 0)
        if let output {
            posix_spawn_file_actions_adddup2(&actions, output, 1)
            posix_spawn_file_actions_adddup2(&actions, output, 2)
        }
        // Whoever opened them; one that is closed by then does no harm.
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? [] {
            if let descriptor = Int32(name), descriptor > 2 {
                posix_spawn_file_actions_addclose(&actions, descriptor)
            }
        }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // What this process ignores or blocks, a worker must not.
        var signals = sigset_t()
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))

        let environment = command.environment ?? ProcessInfo.processInfo.environment
        var arguments = ([command.executable] + command.arguments).map { strdup($0) } + [nil]
        var variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in arguments + variables { free(text) } }
        var id: pid_t = 0
        return (posix_spawn(&id, command.executable, &actions, &attributes, &arguments, &variables), id)
    }

    private static func startThread(_ name: String, _ body: @escaping @Sendable () -> Void) {
        let thread = Thread { body() }
        thread.name = name
        thread.stackSize = 256 << 10
        thread.start()
    }

    private static let longestLine = 64 << 10

    private static func readLines(_ descriptor: Int32, _ take: (String) -> Void) {
        var line: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            for byte in buffer[..<count] {
                if byte != UInt8(ascii: "\n") { line.append(byte) }
                guard byte == UInt8(ascii: "\n") || line.count >= longestLine else { continue }
                take(String(decoding: line, as: UTF8.self))
                line.removeAll(keepingCapacity: true)
            }
        }
        if !line.isEmpty { take(String(decoding: line, as: UTF8.self)) }
        close(descriptor)
    }
}
