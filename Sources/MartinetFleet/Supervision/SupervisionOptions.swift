/// How workers are watched.
package struct SupervisionOptions: Sendable, Hashable {
    /// How long a worker may take until it answers.
    package var startLimit = Duration.seconds(300)
    /// No sign of life, or work and no step, for this long: the worker is wedged.
    package var stallTimeout = Duration.seconds(10)
    /// How long a worker that is replaced may take to end before it is killed.
    package var terminationGrace = Duration.seconds(10)
    /// When workers are started again.
    package var restart = RestartPolicy.Options()

    /// The defaults.
    package init() {}
}
