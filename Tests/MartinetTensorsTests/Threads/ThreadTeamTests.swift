import Foundation
import MartinetTensors
import Synchronization
import Testing

@Suite struct ThreadTeamTests {
    /// Counts how often each task ran. Atomics, because the thread sanitizer does not see the library's `Mutex`.
    private final class Counts: Sendable {
        private final class Cell: Sendable {
            let value = Atomic<Int>(0)
        }
        private let cells: [Cell]
        init(_ count: Int) { cells = (0..<count).map { _ in Cell() } }
        func add(_ index: Int) { cells[index].value.add(1, ordering: .relaxed) }
        var all: [Int] { cells.map { $0.value.load(ordering: .relaxed) } }
    }

    @Test(arguments: [1, 2, 3, 8], [0, 1, 2, 7, 100])
    func everyTaskRunsOnce(threads: Int, tasks: Int) {
        let team = ThreadTeam(threadCount: threads)
        let counts = Counts(tasks)
        for _ in 0..<20 { team.run(tasks: tasks) { counts.add($0) } }
        #expect(counts.all == [Int](repeating: 20, count: tasks))
    }

    @Test(arguments: [1, 2, 5])
    func everyIndexRunsOnce(threads: Int) {
        let team = ThreadTeam(threadCount: threads)
        let counts = Counts(threads)
        team.run { index, count in
            #expect(count == threads)
            counts.add(index)
        }
        #expect(counts.all == [Int](repeating: 1, count: threads))
    }

    /// Plain writes by tasks must be visible to the caller and to the tasks of the next job.
    @Test(arguments: [2, 4])
    func writesAreVisibleAfterwards(threads: Int) throws {
        let team = ThreadTeam(threadCount: threads)
        let buffer = try AlignedBuffer<Int>(count: 64)
        let stale = Atomic<Int>(0)
        for round in 1...3000 {
            team.run(tasks: 64) { buffer.pointer[$0] = round }
            #expect(buffer.elements.allSatisfy { $0 == round })
            team.run(tasks: 64) { task in
                if buffer.pointer[63 - task] != round { stale.add(1, ordering: .relaxed) }
            }
        }
        #expect(stale.load(ordering: .relaxed) == 0)
    }

    /// Threads that have gone to sleep are woken by the next job.
    @Test func sleepersWake() {
        let team = ThreadTeam(threadCount: 2)
        for _ in 0..<5 {
            usleep(20_000)
            let both = Atomic<Int>(0)
            // Each of the two tasks waits for the other, so one thread alone cannot finish the job.
            team.run(tasks: 2) { _ in
                both.add(1, ordering: .sequentiallyConsistent)
                let end = ContinuousClock.now + .seconds(20)
                while both.load(ordering: .sequentiallyConsistent) < 2, ContinuousClock.now < end { sched_yield() }
            }
            #expect(both.load(ordering: .sequentiallyConsistent) == 2)
        }
    }

    /// More teams and threads than cores, all busy: every job still completes.
    @Test func survivesOversubscription() {
        let done = Atomic<Int>(0)
        DispatchQueue.concurrentPerform(iterations: 4) { seed in
            let team = ThreadTeam(threadCount: 2 + seed)
            let sum = Atomic<Int>(0)
            for _ in 0..<2000 { team.run(tasks: 9) { sum.add($0, ordering: .relaxed) } }
            if sum.load(ordering: .relaxed) == 2000 * 36 { done.add(1, ordering: .relaxed) }
        }
        #expect(done.load(ordering: .relaxed) == 4)
    }

    @Test func teamsComeAndGo() {
        let total = Atomic<Int>(0)
        for round in 0..<200 {
            let team = ThreadTeam(threadCount: 1 + round % 4)
            if round % 3 != 0 { team.run(tasks: 5) { _ in total.add(1, ordering: .relaxed) } }
        }
        #expect(total.load(ordering: .relaxed) == 5 * (200 - 67))
    }

    @Test func refusesReentry() async {
        await #expect(processExitsWith: .failure) {
            let team = ThreadTeam(threadCount: 2)
            team.run(tasks: 4) { _ in team.run(tasks: 1) { _ in } }
        }
    }

    @Test func sizesFollowTheMachine() {
        #expect(ThreadTeam.availableCores >= 1)
        #expect((1...ThreadTeam.availableCores).contains(ThreadTeam.recommendedThreadCount))
        #expect(ThreadTeam(threadCount: -3).threadCount == 1)
    }

    @Test(
        arguments: [
            ("max 100000\n", nil), ("150000 100000\n", 1.5), ("-1 100000", nil), ("0 100000", nil), ("", nil),
            ("100000 0", nil), ("nan 1", nil), ("1e300 1e-300", nil), ("200000 100000 3", nil),
        ] as [(String, Double?)])
    func readsQuotas(text: String, cores: Double?) {
        #expect(ProcessorQuota.parse(unified: text) == cores)
    }

    @Test(
        arguments: [
            ("Name:\tx\nCpus_allowed_list:\t0-1\n", 2), ("Cpus_allowed_list:\t3", 1),
            ("Cpus_allowed_list:\t0-3,8,10-11", 7),
            ("Cpus_allowed_list:\t", nil), ("Cpus_allowed_list:\t5-2", nil), ("Cpus_allowed_list:\tx", nil), ("", nil),
            ("Cpus_allowed_list:\t0-99999999999999999999", nil),
        ] as [(String, Int?)])
    func readsAffinity(text: String, cores: Int?) {
        #expect(ProcessorQuota.parse(status: text) == cores)
    }
}
