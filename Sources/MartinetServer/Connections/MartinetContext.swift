public import Hummingbird
internal import Logging
internal import MartinetWebSocketHTTP
internal import NIOCore

/// What belongs to one HTTP request.
public struct MartinetContext: RequestContext {
    /// Hummingbird's own part.
    public var coreContext: CoreRequestContextStorage
    let channel: any Channel
    let record: RequestRecord
    /// The connection that the request came by; absent in tests that have none.
    let connection: ConnectionFacts?

    /// Made by Hummingbird for each request.
    public init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
        record = RequestRecord()
        connection = ConnectionFacts.current
    }
}
