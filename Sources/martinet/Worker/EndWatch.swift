import Dispatch
import Foundation
import Logging
import MartinetWorkerProtocol

/// Ends a worker when it is told to, or when the process that started it is gone.
final class EndWatch {
    private let signals: [any DispatchSourceSignal]

    /// Watches from now on.
    ///
    /// - Parameters:
    ///   - limit: how long draining may take before the process ends anyway.
    ///   - withStandardInput: whether the end of standard input counts.
    init(server: WorkerServer, logger: Logger, limit: Duration, withStandardInput: Bool) {
        let end: @Sendable (String) -> Void = { reason in
            logger.info("Ending: no new requests, those here may end.", metadata: ["reason": "\(reason)"])
            server.drain()
            DispatchQueue.global().asyncAfter(deadline: .now() + limit / .seconds(1)) {
                logger.error("The worker did not end in time.")
                exit(1)
            }
        }
        signals = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { end("signal \(number)") }
            source.resume()
            return source
        }
        guard withStandardInput else { return }
        Thread {
            var buffer = [UInt8](repeating: 0, count: 256)
            while true {
                let count = read(STDIN_FILENO, &buffer, buffer.count)
                if count == 0 || (count < 0 && errno != EINTR) { break }
            }
            end("standard input ended")
        }.start()
    }

    func cancel() {
        for source in signals { source.cancel() }
    }
}
