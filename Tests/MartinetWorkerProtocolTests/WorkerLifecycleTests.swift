import Foundation
import GRPCCore
import MartinetEngine
import MartinetTestKit
import MartinetWorkerProtocol
import Synchronization
import Testing

/// Requests, connections and workers that end.
@Suite struct WorkerLifecycleTests {
    @Test func cancellingFreesTheSlot() async throws {
        let worker = try WorkerHarness(steps: 3)
        let client = try await worker.connect()
        let sink = Recorder()
        let ticket = try client.submit(endless(), to: sink)
        try await eventually("a token") { !sink.now.tokens.isEmpty }
        #expect(worker.server.openCount == 1)
        ticket.cancel()
        let record = try await sink.ended()
        #expect(record.finished == [0: .abort])
        try await eventually("the worker's knowing") { worker.server.openCount == 0 }
        #expect(worker.engine.statistics().running == 1)
        worker.gate.allow(1)
        try await eventually("the free slot") { worker.engine.statistics().running == 0 }
        #expect(worker.engine.statistics().steps == 4)
        #expect(sink.now.eventsAfterEnd == 0)
        withExtendedLifetime(client) {}
        try await worker.end()
    }

    @Test func cancellingASample() async throws {
        let worker = try WorkerHarness(steps: 5)
        let client = try await worker.connect()
        let sink = Recorder()
        let ticket = try client.submit(
            request {
                $0.sampling.maxTokens = nil
                $0.sampling.temperature = 1
                $0.sampling.seed = 1
                $0.sampleCount = 3
            }, to: sink)
        try await eventually("tokens of all samples") { sink.now.tokens.count == 3 }
        ticket.cancel(sample: 1)
        try await eventually("the sample's end") { sink.now.finished[1] == .abort }
        let tokens = sink.now.tokens
        worker.gate.allow(3)
        try await eventually("others' tokens") { sink.now.tokens[0]?.count ?? 0 > (tokens[0]?.count ?? 0) + 1 }
        #expect(sink.now.tokens[1] == tokens[1])
        ticket.cancel()
        let record = try await sink.ended(samples: 3)
        #expect(record.endings.count == 3)
        worker.gate.open()
        try await eventually("free slots") { worker.engine.statistics().running == 0 }
        #expect(sink.now.eventsAfterEnd == 0)
        withExtendedLifetime(client) {}
        try await worker.end()
    }

    @Test func aFrontendThatGoesLeavesNothing() async throws {
        let worker = try WorkerHarness(steps: 0)
        let losses = Mutex(0)
        let client = try await worker.connect { _ in losses.withLock { $0 += 1 } }
        let other = try await worker.connect()
        let sinks = (0..<8).map { _ in Recorder() }
        for sink in sinks { _ = try client.submit(endless(), to: sink) }
        let survivor = Recorder()
        let ticket = try other.submit(request(), to: survivor)
        try await eventually("tokens") {
            worker.gate.allow(1)
            return sinks.allSatisfy { !$0.now.tokens.isEmpty }
        }
        client.stop()
        try await eventually("one frontend") { worker.server.frontendCount == 1 }
        worker.gate.allow(100)
        for sink in sinks { #expect(try await sink.ended().finished == [0: .abort]) }
        try await eventually("free slots") {
            worker.engine.statistics().running == 0
        }
        #expect(try await survivor.ended().finished == [0: .length])
        #expect(losses.withLock { $0 } == 0)
        #expect(throws: EngineError.self) { try client.submit(request(), to: Recorder()) }
        withExtendedLifetime((other, ticket)) {}
        try await worker.end()
    }

    @Test func aWorkerThatGoesFailsEachRequestOnce() async throws {
        try await RawWorker.run({ messages, response in
            try await response.write(RawWorker.hello)
            var taken = 0
            for try await _ in messages {
                taken += 1
                if taken == 8 { throw Timeout(description: "gone") }
            }
        }) { address in
            let losses = Mutex<[EngineError]>([])
            let client = try await WorkerClient.connect(to: address) { error in losses.withLock { $0.append(error) } }
            let sinks = (0..<8).map { _ in Recorder() }
            for sink in sinks { _ = try client.submit(request(), to: sink) }
            try await eventually("the loss") { losses.withLock { $0.count } > 0 }
            for sink in sinks {
                #expect(sink.now.failures.map(\.code) == [.workerLost])
                #expect(sink.now.finished.isEmpty)
            }
            #expect(losses.withLock { $0.map(\.code) } == [.workerLost])
            #expect(!client.progress.isConnected)
            let error = #expect(throws: EngineError.self) { try client.submit(request(), to: Recorder()) }
            #expect(error?.code == .workerLost)
            await client.shutdown(deadline: .seconds(1))
            #expect(losses.withLock { $0.count } == 1)
        }
    }

    @Test func refusals() async throws {
        var options = EngineOptions.forTests
        options.maxNumSeqs = 1
        options.maxWaiting = 1
        let worker = try WorkerHarness(steps: 3, options: options)
        let client = try await worker.connect()
        let sinks = (0..<6).map { _ in Recorder() }
        let tickets = try sinks.map { try client.submit(endless(), to: $0) }
        try await eventually("refusals") { sinks.contains { !$0.now.failures.isEmpty } }
        let failures = sinks.flatMap { $0.now.failures }
        #expect(failures.allSatisfy { $0.code == .queueFull && $0.message.contains("queue is full") })
        for ticket in tickets { ticket.cancel() }
        let error = #expect(throws: EngineError.self) { try client.submit(request(prompt: [999]), to: Recorder()) }
        #expect(error?.parameter == "prompt")
        try await worker.end()
    }

    @Test func draining() async throws {
        let worker = try WorkerHarness(steps: 10)
        let losses = Mutex(0)
        let client = try await worker.connect { _ in losses.withLock { $0 += 1 } }
        let (open, late) = (Recorder(), Recorder())
        let tickets = [try client.submit(request(maxTokens: 400), to: open)]
        try await eventually("a token") { !open.now.tokens.isEmpty }
        client.drain()
        let refused = try client.submit(request(maxTokens: 1), to: late)
        #expect(try await late.ended().failures.map(\.code) == [.unavailable])
        #expect(!open.now.tokens.isEmpty && open.now.finished.isEmpty)
        worker.gate.open()
        #expect(try await open.ended().finished == [0: .length])
        #expect(open.now.tokens[0]?.count == 400)
        try await worker.running.value
        try await eventually("the end of the connection") { losses.withLock { $0 } == 1 }
        #expect(!client.progress.isConnected)
        withExtendedLifetime((tickets, refused)) {}
    }

    @Test func drainingHasALimit() async throws {
        let worker = try WorkerHarness(steps: 3, drainTimeout: .zero)
        let client = try await worker.connect()
        let sink = Recorder()
        let ticket = try client.submit(endless(), to: sink)
        try await eventually("a token") { !sink.now.tokens.isEmpty }
        worker.server.drain()
        // The engine's thread learns that it is to stop before the step that it is in ends.
        try await eventually("the engine's stop") { (try? worker.engine.submit(request(), to: Recorder())) == nil }
        worker.gate.allow(1)
        #expect(try await sink.ended().finished == [0: .abort])
        try await worker.end()
        withExtendedLifetime((client, ticket)) {}
    }

    @Test func heartbeatsAndFigures() async throws {
        let worker = try WorkerHarness(steps: 3)
        let client = try await worker.connect()
        let first = client.progress.lastMessage
        try await eventually("a heartbeat") { client.progress.lastMessage > first }
        let beats = client.progress.lastMessage
        try await eventually("another heartbeat") { client.progress.lastMessage > beats }
        #expect(!client.progress.hasWork)
        #expect(client.progress.isConnected)
        #expect(client.statistics().totalBlocks == worker.engine.statistics().totalBlocks)
        let sink = Recorder()
        let ticket = try client.submit(endless(), to: sink)
        try await eventually("work") { client.progress.hasWork && client.progress.steps == 3 }
        // Alive, but no step while there is work: what a supervisor calls wedged.
        let wedged = client.progress.lastMessage
        try await eventually("a heartbeat") { client.progress.lastMessage > wedged + .milliseconds(100) }
        #expect(client.progress.hasWork && client.progress.steps == 3)
        #expect(client.statistics().secondsSinceProgress > 0.05)
        worker.gate.open()
        ticket.cancel()
        try await eventually("rest") { !client.progress.hasWork }
        try await eventually("the last figures") {
            client.statistics() == worker.engine.statistics()
        }
        #expect(client.description.model == "tiny")
        #expect(client.description.version == "1.2.3")
        #expect(client.description.limits == worker.engine.limits)
        #expect(client.description.blockCount == worker.engine.statistics().totalBlocks)
        try await worker.end()
    }

    @Test func shuttingAClientDown() async throws {
        let worker = try WorkerHarness(steps: 20)
        let client = try await worker.connect()
        let (short, long) = (Recorder(), Recorder())
        let tickets = [try client.submit(request(maxTokens: 3), to: short), try client.submit(endless(), to: long)]
        try await eventually("tokens") { !long.now.tokens.isEmpty && short.now.finished[0] != nil }
        await client.shutdown(deadline: .zero)
        #expect(short.now.finished == [0: .length])
        #expect(long.now.finished == [0: .abort])
        try await eventually("free slots") { worker.server.frontendCount == 0 }
        withExtendedLifetime(tickets) {}
        try await worker.end()
    }
}
