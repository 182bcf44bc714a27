import Foundation
import MartinetEngine
import MartinetFleet
import Synchronization
import Testing

/// Streams over real processes that are killed, stopped and replaced. The engines are in this process and die with the
/// processes that stand for them.
@Suite(.timeLimit(.minutes(5))) struct ProcessChaosTests {
    private final class Flag: Sendable {
        private let state = Mutex(false)
        var isSet: Bool { state.withLock { $0 } }
        func set() { state.withLock { $0 = true } }
    }

    private final class Heartbeat: Sendable {
        private let last = Mutex(ContinuousClock.now)
        func look(at id: Int32) -> ContinuousClock.Instant {
            // A stopped process has no sign of life.
            let isStopped = Bench.state(of: id) == "T"
            return last.withLock { last in
                if !isStopped { last = .now }
                return last
            }
        }
    }

    private final class Bench: Sendable {
        private let members = Mutex<[MortalMember]>([])

        func connect(_ launch: WorkerLaunch) async throws -> WorkerConnection {
            let member = try MortalMember {}
            members.withLock { $0.append(member) }
            // A dead process takes its engine along, a little late.
            Task {
                while kill(launch.processID, 0) == 0 { try? await Task.sleep(for: .milliseconds(2)) }
                member.die()
            }
            let heartbeat = Heartbeat()
            return WorkerConnection(
                engine: member,
                liveness: {
                    WorkerLiveness(
                        isConnected: true, lastHeartbeat: heartbeat.look(at: launch.processID), steps: 0, hasWork: false
                    )
                })
        }

        static func state(of id: Int32) -> Substring? {
            let stat = try? String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8)
            return stat?.split(separator: ")").last?.split(separator: " ").first
        }

        func stop() { for member in members.withLock({ $0 }) { member.stop() } }
    }

    /// 32 clients that ask again and again while `body` does its worst; each answer must be the undisturbed one.
    private func withClients(
        workers: Int, body: @escaping @Sendable (WorkerSupervisor) async throws -> Void
    ) async throws -> PoolSnapshot {
        let requests = PoolChaosTests.requests(32, seed: 21)
        let engine = try makeTestEngine()
        let expected = try await PoolChaosTests.answerAll(engine, requests)
        await engine.shutdown(deadline: .seconds(1))

        var options = PoolOptions()
        options.endTokens = [63]
        // A slow machine may find a worker wedged that is not; nobody is to blame for that here.
        options.maxWedges = .max
        let pool = WorkerPool(limits: testLimits, policy: LeastOutstandingTokens(), options: options)
        var supervision = SupervisionOptions()
        supervision.stallTimeout = .milliseconds(200)
        let bench = Bench()
        let supervisor = WorkerSupervisor(
            pool: pool, workers: (0..<workers).map { "w\($0)" }, options: supervision,
            makeCommand: { _ in WorkerCommand(executable: "/bin/sleep", arguments: ["1000"]) },
            connect: { try await bench.connect($0) })
        async let run: Void = supervisor.run()
        let done = Flag()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, request) in requests.enumerated() {
                group.addTask {
                    repeat {
                        let found = try await answers(pool, request)
                        #expect(found == expected[index], "request \(index)")
                    } while !done.isSet
                }
            }
            group.addTask {
                defer { done.set() }
                try await body(supervisor)
            }
            try await group.waitForAll()
        }
        await pool.shutdown(deadline: .seconds(10))
        await supervisor.shutdown(deadline: .seconds(10))
        try await run
        bench.stop()
        return pool.snapshot()
    }

    @Test(arguments: [1, 2], [SIGKILL, SIGSTOP]) func noStreamNoticesWhatHappensToWorkers(
        workers: Int, signal: Int32
    ) async throws {
        let snapshot = try await withClients(workers: workers) { supervisor in
            var random = SeededGenerator(seed: UInt64(workers))
            for _ in 0..<20 {
                let victim = Int.random(in: 0..<workers, using: &random)
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...15, using: &random)))
                #expect(await eventually { supervisor.workers[victim].processID != nil })
                let losses = supervisor.workers[victim].losses.values.reduce(0, +)
                if let id = supervisor.workers[victim].processID { kill(id, signal) }
                #expect(await eventually { supervisor.workers[victim].losses.values.reduce(0, +) > losses })
            }
        }
        #expect(snapshot.losses[signal == SIGKILL ? .killed : .stopped, default: 0] >= 20)
        #expect(snapshot.resumptions[.resumed, default: 0] > 0)
        #expect(snapshot.resumptions[.failed] == nil)
        #expect(snapshot.refusedRequests == 0)
    }

    @Test(arguments: [1, 2]) func workersAreReplacedUnderLoad(workers: Int) async throws {
        let snapshot = try await withClients(workers: workers) { supervisor in
            #expect(await eventually { supervisor.workers.allSatisfy { $0.state == .ready } })
            for _ in 0..<5 { try await supervisor.replaceAll() }
        }
        #expect(snapshot.losses.isEmpty)
        #expect(snapshot.resumptions[.failed] == nil)
    }
}
