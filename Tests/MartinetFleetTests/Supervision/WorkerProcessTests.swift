import Foundation
import MartinetEngine
import MartinetFleet
import Synchronization
import Testing

/// Collects lines.
final class Lines: Sendable {
    private let state = Mutex<[String]>([])
    var all: [String] { state.withLock { $0 } }
    func add(_ line: String) { state.withLock { $0.append(line) } }
}

@Suite(.timeLimit(.minutes(2))) struct WorkerProcessTests {
    private func shell(_ script: String, lines: Lines? = nil) throws -> WorkerProcess {
        try WorkerProcess(
            WorkerCommand(
                executable: "/bin/sh", arguments: ["-c", script],
                environment: ["PATH": "/usr/bin:/bin", "WORD": "x y"],
                output: lines.map { lines in .lines { lines.add($0) } } ?? .inherited))
    }

    @Test(
        arguments: [
            ("exit 0", .status(0), .ended), ("exit 3", .status(3), .crashed), ("kill -SEGV $$", .signal(11), .crashed),
            ("kill -ILL $$", .signal(4), .crashed), ("kill -KILL $$", .signal(9), .killed),
            ("kill -TERM $$", .signal(15), .killed), ("exit 137", .status(137), .killed),
        ] as [(String, WorkerExit, WorkerLoss)])
    func anEndSaysHow(script: String, exit: WorkerExit, loss: WorkerLoss) async throws {
        let found = try await shell(script).waitForExit()
        #expect(found == exit)
        #expect(found?.loss == loss)
    }

    @Test func outOfMemoryIsACauseOfItsOwn() {
        #expect(WorkerExit.signal(9, outOfMemory: true).loss == .outOfMemory)
        #expect(WorkerExit.signal(9, outOfMemory: true).description.contains("out of memory"))
    }

    @Test func outputComesByLines() async throws {
        let lines = Lines()
        let process = try shell("echo one; echo two >&2; echo \"$WORD\"; printf last", lines: lines)
        #expect(await process.waitForExit() == .status(0))
        #expect(await eventually { lines.all.count == 4 })
        #expect(lines.all == ["one", "two", "x y", "last"])
    }

    @Test func aLongLineComesInParts() async throws {
        let lines = Lines()
        _ = try shell("head -c 150000 /dev/zero | tr '\\0' 'a'", lines: lines)
        #expect(await eventually { lines.all.map(\.count).reduce(0, +) == 150_000 })
        #expect(lines.all.count == 3)
    }

    @Test func inputEndsWithTheSupervisorAndNotBefore() async throws {
        let lines = Lines()
        let process = try shell("echo begun; cat; echo ended", lines: lines)
        #expect(await eventually { lines.all == ["begun"] })
        // Others that start meanwhile must not hold its input open.
        let other = try shell("sleep 1000")
        #expect(process.exit == nil)
        process.kill()
        #expect(await process.waitForExit() == .signal(9))
        other.kill()
        #expect(await other.waitForExit() == .signal(9))
    }

    @Test func nothingIsInherited() async throws {
        let inherited = open("/dev/null", O_RDONLY)
        defer { close(inherited) }
        let lines = Lines()
        let process = try WorkerProcess(
            WorkerCommand(executable: "/bin/ls", arguments: ["/proc/self/fd"], output: .lines { lines.add($0) }))
        #expect(await process.waitForExit() == .status(0))
        // The last is the listing itself.
        #expect(await eventually { lines.all.count >= 4 })
        #expect(lines.all == ["0", "1", "2", "3"])
    }

    @Test func descriptorsDoNotLeak() async throws {
        func count() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }
        let before = try count()
        for _ in 0..<60 {
            #expect(try await shell("true", lines: Lines()).waitForExit() == .status(0))
            #expect(throws: EngineError.self) { try WorkerProcess(WorkerCommand(executable: "/no/such/program")) }
        }
        // Other tests run at the same time and hold some.
        #expect(await eventually { ((try? count()) ?? .max) < before + 60 })
    }

    @Test func aProgramThatIsNotThereIsNamed() throws {
        let error = #expect(throws: EngineError.self) {
            try WorkerProcess(WorkerCommand(executable: "/no/such/program"))
        }
        #expect(error?.message.contains("/no/such/program") == true)
        #expect(error?.message.contains("No such file") == true)
    }

    @Test func itHasAGroupOfItsOwnWhichDiesWithIt() async throws {
        let lines = Lines()
        let process = try shell("sleep 1000 & echo $!; ps -o pgid= -p $$ 2>/dev/null || echo $$; wait", lines: lines)
        #expect(await eventually { lines.all.count >= 1 })
        let child = try #require(Int32(lines.all[0]))
        #expect(getpgid(process.id) == process.id)
        #expect(getpgid(child) == process.id)
        process.kill()
        #expect(await process.waitForExit() == .signal(9))
        #expect(await eventually { kill(child, 0) == -1 || Self.isZombie(child) })
        // After its end signals go nowhere.
        process.terminate()
        process.kill()
    }

    private static func isZombie(_ id: Int32) -> Bool {
        (try? String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8))?.contains(") Z ") ?? true
    }

    @Test func whatDoesNotEndWhenAskedIsKilled() async throws {
        let lines = Lines()
        let deaf = try shell("trap '' TERM; echo ready; while true; do sleep 0.05; done", lines: lines)
        #expect(await eventually { lines.all == ["ready"] })
        await deaf.end(within: .milliseconds(50))
        #expect(deaf.exit == .signal(9))
        let polite = try shell("trap 'exit 7' TERM; echo ready; while true; do sleep 0.05; done", lines: lines)
        #expect(await eventually { lines.all.count == 2 })
        await polite.end(within: .seconds(60))
        #expect(polite.exit == .status(7))
    }

    @Test func waitingEndsWithItsTask() async throws {
        let process = try shell("sleep 1000")
        let waiter = Task { await process.waitForExit() }
        waiter.cancel()
        #expect(await waiter.value == nil)
        process.kill()
        #expect(await process.waitForExit() == .signal(9))
    }
}
