public import Hummingbird
internal import Logging
internal import MartinetWebSocketHTTP
internal import NIOCore

/// What belongs to one HTTP request.
public struct MartinetContext: RequestContext {
    /// Hummingbird's own part.
    public var coreContext: CoreRequestContextStorage
    /// The client's connection; `nil` where the server itself asks.
    let channel: (any Channel)?
    let record: RequestRecord
    /// Smaller runs first, whatever the request says.
    let priority: Int?
    /// The connection that the request came by; absent in tests that have none.
    let connection: ConnectionFacts?

    /// Made by Hummingbird for each request.
    public init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
        record = RequestRecord()
        connection = ConnectionFacts.current
        priority = nil
    }

    /// A request of the server's own.
    init(logger: Logger, priority: Int) {
        coreContext = CoreRequestContextStorage(source: InternalSource(logger: logger))
        channel = nil
        connection = nil
        record = RequestRecord()
        self.priority = priority
    }

    /// The same request's twin, with figures of its own.
    init(twinOf context: MartinetContext, logger: Logger) {
        coreContext = CoreRequestContextStorage(source: InternalSource(logger: logger))
        channel = context.channel
        connection = context.connection
        record = RequestRecord()
        priority = context.priority
    }

    private struct InternalSource: RequestContextSource {
        let logger: Logger
    }
}
