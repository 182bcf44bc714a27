/// What both sides agree on beside the schema.
package enum WorkerProtocol {
    /// Raised where an older peer would misread a message.
    package static let version = 2
    /// Most bytes of a frontend's message: a prompt of a million tokens has some three.
    package static let maxFrontendMessageBytes = 16 << 20
    /// Most bytes of a worker's message: log probabilities of long prompts are large.
    package static let maxWorkerMessageBytes = 256 << 20
    /// How often a heartbeat comes.
    package static let heartbeatInterval = Duration.milliseconds(250)
}
