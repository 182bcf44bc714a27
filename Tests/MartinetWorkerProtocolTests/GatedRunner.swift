import Foundation
import MartinetModels
import Synchronization

/// Lets an engine make as many steps as a test allows, so that requests are caught in the middle whatever the machine is
/// doing.
final class Gate: Sendable {
    private let permits = Mutex(0)

    init(steps: Int) { allow(steps) }

    func allow(_ steps: Int) { permits.withLock { $0 += steps } }
    /// Lets all steps through from now on.
    func open() { permits.withLock { $0 = 1 << 60 } }

    fileprivate func pass() {
        while permits.withLock({ $0 == 0 }) { usleep(200) }
        permits.withLock { $0 -= 1 }
    }
}

/// A runner that waits at a gate before each step.
final class GatedRunner: ModelRunner {
    private let runner: any ModelRunner
    private let gate: Gate

    init(_ runner: any ModelRunner, gate: Gate) {
        self.runner = runner
        self.gate = gate
    }

    var configuration: ModelConfiguration { runner.configuration }
    var limits: RunnerLimits { runner.limits }
    var memory: RunnerMemory { runner.memory }
    var hiddenStates: UnsafeBufferPointer<Float> { runner.hiddenStates }

    func forward(_ batch: ForwardBatch) throws(ModelError) -> UnsafeMutableBufferPointer<Float> {
        gate.pass()
        return try runner.forward(batch)
    }
}
