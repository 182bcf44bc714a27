internal import Logging
internal import MartinetWebSocketHTTP
internal import ServiceLifecycle
internal import UnixSignals

/// Reads certificates again when their files change, and on SIGHUP.
struct CertificateService: Service {
    let certificates: ServerCertificates
    let logger: Logger
    /// How often files are looked at.
    var interval = Duration.seconds(10)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskGroup { group in
                group.addTask {
                    for await _ in await UnixSignalsSequence(trapping: .sighup) { reload(always: true) }
                }
                group.addTask {
                    while (try? await Task.sleep(for: interval)) != nil { reload(always: false) }
                }
            }
        }
    }

    private func reload(always: Bool) {
        do {
            if try certificates.reload(always: always) { logger.notice("read the certificates again") }
        } catch {
            logger.error("the certificates stay as they were", metadata: ["error": "\(error)"])
        }
    }
}
