internal import Logging
internal import MartinetAPI
internal import ServiceLifecycle

/// Ends the server in order: readiness fails and new work is refused, requests under way end within the deadline, the
/// engine stops. The HTTP server closes after that, so that probes and answers still get through.
struct DrainService: Service {
    let state: ServerState
    let directory: ModelDirectory
    let timeout: Duration
    let logger: Logger

    func run() async throws {
        // Cancelled where another service failed, such as a port in use: then nothing runs that could end in order.
        guard (try? await gracefulShutdown()) != nil else { return }
        state.beginDraining()
        logger.info("draining", metadata: ["running_requests": .stringConvertible(state.generations)])
        let deadline = ContinuousClock.now + timeout
        await withTaskGroup { group in
            for deployment in directory.all {
                group.addTask { [timeout] in await deployment.service.shutdown(deadline: timeout) }
            }
        }
        // The engine is done; answers are still being written.
        let remaining = max(.seconds(1), deadline - .now)
        await withTaskGroup { group in
            group.addTask { await state.waitUntilIdle() }
            group.addTask { try? await Task.sleep(for: remaining) }
            await group.next()
            if state.generations > 0 {
                logger.warning(
                    "requests did not end in time", metadata: ["requests": .stringConvertible(state.generations)])
            }
            group.cancelAll()
        }
        logger.info("drained")
    }
}
