/// What a supervisor judges a worker by.
package struct WorkerProgress: Sendable, Hashable {
    /// When the worker's last message came; a heartbeat comes four times a second.
    package var lastMessage = ContinuousClock.now
    /// Steps that the engine has executed.
    package var steps: UInt64 = 0
    /// Whether requests wait or run, as far as the worker said: with this and no more steps it is wedged.
    package var hasWork = false
    /// Whether it takes no more requests.
    package var isDraining = false
    /// Whether the connection stands.
    package var isConnected = true
}
