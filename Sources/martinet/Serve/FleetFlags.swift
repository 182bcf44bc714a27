import ArgumentParser
import Foundation
import MartinetFleet

/// Flags of the pools of workers.
struct FleetFlags: ParsableArguments {
    @Option(help: "Worker processes of each model; the machine's cores and memory are shared among them (1).")
    var workers: Int?

    @Option(
        help: "Which worker gets a request: prefix-affinity, least-tokens, power-of-two, round-robin, consistent-hash.")
    var routingPolicy: String?

    @Option(help: "Seconds without a step, or without a sign of life, after which a worker is replaced (10).")
    var workerStallTimeout: Double?

    @Option(help: "Seconds that a worker may take to start (300).")
    var workerStartTimeout: Double?

    @Option(help: "How often a request may lose its worker without a token in between before it fails (16).")
    var resumeAttempts: Int?

    @Option(help: "Seconds that a request may wait for a worker (60).")
    var resumeTimeout: Double?

    func policy(_ settings: Settings) throws -> RoutingPolicyName {
        guard let name = settings.text("routing-policy", routingPolicy) else { return .prefixAffinity }
        guard let policy = RoutingPolicyName(rawValue: name) else {
            let names = RoutingPolicyName.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--routing-policy must be one of \(names), but is `\(name)`.")
        }
        return policy
    }

    func pool(_ settings: Settings) throws -> PoolOptions {
        var options = PoolOptions()
        if let count = try settings.integer("resume-attempts", resumeAttempts, in: 0...1_000_000) {
            options.maxAttempts = count
        }
        if let limit = try settings.seconds("resume-timeout", resumeTimeout) { options.waitingLimit = limit }
        return options
    }

    func supervision(_ settings: Settings) throws -> SupervisionOptions {
        var options = SupervisionOptions()
        if let timeout = try settings.seconds("worker-stall-timeout", workerStallTimeout) {
            guard timeout >= .seconds(1) else {
                throw ValidationError("--worker-stall-timeout must be at least 1 second.")
            }
            options.stallTimeout = timeout
        }
        if let limit = try settings.seconds("worker-start-timeout", workerStartTimeout) { options.startLimit = limit }
        return options
    }
}
