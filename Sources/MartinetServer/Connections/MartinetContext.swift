public import Hummingbird
internal import Logging
internal import NIOCore

/// What belongs to one HTTP request.
public struct MartinetContext: RequestContext {
    /// Hummingbird's own part.
    public var coreContext: CoreRequestContextStorage
    let channel: any Channel
    let record: RequestRecord

    /// Made by Hummingbird for each request.
    public init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
        record = RequestRecord()
    }
}
