import Foundation
import MartinetEngine
import MartinetFleet
import Synchronization
import Testing

/// Real processes that only live, and connections that only say so.
@Suite(.timeLimit(.minutes(2))) struct WorkerSupervisorTests {
    /// What the test decides of each start.
    private final class Bench: Sendable {
        struct Start: Sendable {
            var launch: WorkerLaunch
            var member = ScriptedMember()
        }

        private struct State {
            var starts: [Start] = []
            var scripts: [String] = []
            var wedged: Set<Int> = []
            var mute: Set<Int> = []
        }

        private let state = Mutex(State())
        let lines = Lines()

        var starts: [Start] { state.withLock(\.starts) }
        /// A worker of this generation makes no step any more though it has work.
        func wedge(_ generation: Int) { state.withLock { _ = $0.wedged.insert(generation) } }
        /// Workers of these generations never answer.
        func mute(_ generations: ClosedRange<Int>) { state.withLock { $0.mute.formUnion(generations) } }
        /// What the next starts run, in order; then a long sleep.
        func run(_ scripts: [String]) { state.withLock { $0.scripts = scripts } }

        func command(_ launch: WorkerLaunch) -> WorkerCommand {
            let script = state.withLock { $0.scripts.isEmpty ? "exec sleep 1000" : $0.scripts.removeFirst() }
            return WorkerCommand(executable: "/bin/sh", arguments: ["-c", script])
        }

        func connect(_ launch: WorkerLaunch) async throws -> WorkerConnection {
            while state.withLock({ $0.mute.contains(launch.generation) }) {
                try await Task.sleep(for: .milliseconds(5))
            }
            let start = Start(launch: launch)
            state.withLock { $0.starts.append(start) }
            let counter = Counter()
            return WorkerConnection(
                engine: start.member,
                liveness: { [weak self] in
                    let isWedged = self?.state.withLock { $0.wedged.contains(launch.generation) } ?? false
                    return WorkerLiveness(
                        isConnected: true, lastHeartbeat: .now, steps: isWedged ? 0 : counter.next(), hasWork: true)
                })
        }
    }

    private final class Counter: Sendable {
        private let value = Atomic<UInt64>(0)
        func next() -> UInt64 { value.wrappingAdd(1, ordering: .relaxed).newValue }
    }

    private func withSupervisor(
        _ workers: Int, bench: Bench = Bench(), change: (inout SupervisionOptions) -> Void = { _ in },
        body: (WorkerSupervisor, WorkerPool, Bench) async throws -> Void
    ) async throws {
        var options = SupervisionOptions()
        options.stallTimeout = .milliseconds(300)
        options.startLimit = .seconds(30)
        options.restart.firstDelay = .milliseconds(1)
        change(&options)
        var poolOptions = PoolOptions()
        poolOptions.causeWait = .seconds(60)
        let pool = WorkerPool(limits: testLimits, policy: LeastOutstandingTokens(), options: poolOptions)
        let supervisor = WorkerSupervisor(
            pool: pool, workers: (0..<workers).map { "w\($0)" }, options: options,
            makeCommand: { bench.command($0) }, connect: { try await bench.connect($0) },
            log: { bench.lines.add("\($0): \($1)") })
        async let run: Void = { try? await supervisor.run() }()
        do {
            try await body(supervisor, pool, bench)
        } catch {
            await supervisor.shutdown(deadline: .zero)
            throw error
        }
        await supervisor.shutdown(deadline: .seconds(30))
        await run
        for start in bench.starts { #expect(kill(start.launch.processID, 0) == -1) }
    }

    private func submit(_ pool: WorkerPool) throws {
        _ = try pool.submit(
            EngineRequest(id: "test", prompt: [1, 2, 3], sampling: SamplingParameters()), to: Mailbox())
    }

    private func isReady(_ supervisor: WorkerSupervisor) -> Bool {
        supervisor.workers.allSatisfy { $0.state == .ready }
    }

    @Test func workersComeIntoThePool() async throws {
        try await withSupervisor(2) { supervisor, pool, bench in
            #expect(await eventually { isReady(supervisor) })
            #expect(Set(pool.snapshot().members.map(\.id)) == ["w0", "w1"])
            #expect(Set(supervisor.workers.compactMap(\.processID)) == Set(bench.starts.map(\.launch.processID)))
        }
    }

    @Test func aKilledWorkerComesBackAndItsSequencesWithIt() async throws {
        try await withSupervisor(1) { supervisor, pool, bench in
            try submit(pool)
            #expect(await eventually { isReady(supervisor) && bench.starts[0].member.submissions.count == 1 })
            for round in 1...7 {
                kill(bench.starts[round - 1].launch.processID, SIGKILL)
                #expect(await eventually { bench.starts.count == round + 1 && isReady(supervisor) })
                #expect(bench.starts[round].member.submissions.count == 1)
            }
            #expect(supervisor.workers[0].losses == [.killed: 7])
            #expect(pool.snapshot().losses == [.killed: 7])
        }
    }

    @Test(arguments: [false, true])
    func aWorkerThatStandsStillIsKilledAndReplaced(isStopped: Bool) async throws {
        try await withSupervisor(1) { supervisor, pool, bench in
            try submit(pool)
            #expect(await eventually { isReady(supervisor) })
            // A stopped process is killed all the same, but is not one that a request hung.
            if isStopped { kill(bench.starts[0].launch.processID, SIGSTOP) }
            bench.wedge(bench.starts[0].launch.generation)
            #expect(await eventually { bench.starts.count == 2 && isReady(supervisor) })
            #expect(bench.starts[1].member.submissions.count == 1)
            #expect(supervisor.workers[0].losses == [isStopped ? .stopped : .wedged: 1])
            let message = isStopped ? "stopped by a signal" : "work, but no step"
            #expect(bench.lines.all.contains { $0.contains(message) })
        }
    }

    @Test func aCrashLoopIsGivenUpAndTheRestGoesOn() async throws {
        let bench = Bench()
        var options = PoolOptions()
        options.waitingLimit = .seconds(60)
        let pool = WorkerPool(limits: testLimits, policy: RoundRobin(), options: options)
        var supervision = SupervisionOptions()
        supervision.restart.firstDelay = .milliseconds(1)
        bench.run(Array(repeating: "exit 3", count: 100))
        bench.mute(1...100)
        let supervisor = WorkerSupervisor(
            pool: pool, workers: ["a", "b"], options: supervision,
            makeCommand: { bench.command($0) }, connect: { try await bench.connect($0) })
        let error = await #expect(throws: EngineError.self) { try await supervisor.run() }
        #expect(error?.message.contains("Every worker has been given up") == true)
        #expect(error?.message.contains("exited with status 3 before it was ready") == true)
        #expect(supervisor.workers.map(\.state) == [.failed, .failed])
        #expect(supervisor.workers.map(\.failedStarts) == [5, 5])
    }

    @Test func aWorkerThatDoesNotAnswerIsStartedAgain() async throws {
        let bench = Bench()
        bench.mute(1...1)
        try await withSupervisor(1, bench: bench) {
            $0.startLimit = .milliseconds(200)
        } body: { supervisor, _, bench in
            #expect(await eventually { isReady(supervisor) })
            #expect(bench.starts.map(\.launch.generation) == [2])
            #expect(supervisor.workers[0].failedStarts == 1)
        }
    }

    @Test func aReplacementTakesOverWhenItIsReady() async throws {
        try await withSupervisor(1) { supervisor, pool, bench in
            try submit(pool)
            #expect(await eventually { isReady(supervisor) })
            let old = bench.starts[0].launch.processID
            try await supervisor.replaceAll { _ in
                WorkerCommand(executable: "/bin/sh", arguments: ["-c", "exec sleep 2000"])
            }
            #expect(pool.snapshot().members.first?.outstandingSequences == 1)
            #expect(bench.starts[1].member.submissions.count == 1)
            #expect(await eventually { kill(old, 0) == -1 })
            #expect(pool.snapshot().losses.isEmpty)
            #expect(supervisor.workers[0].losses.isEmpty)
            let line = try String(
                contentsOfFile: "/proc/\(bench.starts[1].launch.processID)/cmdline", encoding: .utf8)
            #expect(line.contains("2000"))
            // The new command stays.
            kill(bench.starts[1].launch.processID, SIGKILL)
            #expect(await eventually { bench.starts.count == 3 && isReady(supervisor) })
            let again = try String(
                contentsOfFile: "/proc/\(bench.starts[2].launch.processID)/cmdline", encoding: .utf8)
            #expect(again.contains("2000"))
        }
    }

    @Test func aReplacementThatFailsChangesNothing() async throws {
        try await withSupervisor(1) { supervisor, pool, bench in
            try submit(pool)
            #expect(await eventually { isReady(supervisor) })
            bench.run(["exit 4"])
            bench.mute(2...2)
            let error = await #expect(throws: EngineError.self) { try await supervisor.replace(id: "w0") }
            #expect(error?.message.contains("exited with status 4") == true)
            #expect(bench.starts.count == 1 && isReady(supervisor))
            #expect(pool.snapshot().members.first?.outstandingSequences == 1)
            await #expect(throws: EngineError.self) { try await supervisor.replace(id: "nobody") }
        }
    }

    @Test func aWorkerThatDoesNotEndIsKilledAtTheDeadline() async throws {
        let bench = Bench()
        bench.run(["trap '' TERM; while true; do sleep 0.05; done"])
        try await withSupervisor(1, bench: bench) { supervisor, _, bench in
            #expect(await eventually { isReady(supervisor) })
            await supervisor.shutdown(deadline: .milliseconds(100))
            #expect(supervisor.workers[0].state == .stopped)
        }
    }
}
