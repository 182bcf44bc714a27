package import MartinetAPI
package import MartinetEngine
package import MartinetFleet
package import MartinetModels
package import MartinetTemplates
internal import MartinetTelemetry
package import MartinetWorkerProtocol

/// A model to serve, and what is to run it.
package struct ModelSpecification: Sendable, Hashable {
    /// What runs the model.
    package enum Runner: Sendable, Hashable {
        /// Worker processes of this machine, each planned with its share of the memory and the cores.
        case workers(path: String, count: Int, arguments: [String], options: EngineOptions)
        /// Workers that run already, somewhere.
        case connect(endpoints: [WorkerEndpoint], tls: WorkerClientTLS?)
    }

    /// Names that requests may give; the first is the model's own.
    package var names: [String]
    /// Where the model came from, for `/v1/models`.
    package var root: String
    /// What runs it.
    package var runner: Runner
    /// Which worker gets a request.
    package var policy: RoutingPolicyName
    /// How sequences outlive their workers.
    package var pool: PoolOptions
    /// How workers are watched.
    package var supervision: SupervisionOptions
    /// How the model's turns are read.
    package var turns: TurnFormatChoice

    /// Describes a model.
    package init(
        names: [String], root: String, runner: Runner, policy: RoutingPolicyName = .prefixAffinity,
        pool: PoolOptions = PoolOptions(), supervision: SupervisionOptions = SupervisionOptions(),
        turns: TurnFormatChoice = TurnFormatChoice()
    ) {
        self.names = names
        self.root = root
        self.runner = runner
        self.policy = policy
        self.pool = pool
        self.supervision = supervision
        self.turns = turns
    }

    /// The model's own name.
    package var name: String { names.first ?? "model" }
}

extension ServedModel {
    /// The model as requests are decoded for it.
    package init(
        _ text: TextModel, names: [String], root: String, maxModelLength: Int, maxSamples: Int,
        turns: TurnFormatChoice = TurnFormatChoice()
    ) {
        let defaults = text.generationDefaults
        let variables = text.chatTemplate?.variableNames ?? []
        self.init(
            names: names, root: root, created: Int(ProcessFigures.now), maxModelLength: maxModelLength,
            tokenizer: text.tokenizer,
            defaults: SamplingDefaults(
                temperature: defaults.temperature, topP: defaults.topP, topK: defaults.topK, minP: defaults.minP,
                repetitionPenalty: defaults.repetitionPenalty),
            turnFormat: turns.format(template: text.chatTemplateSource, variables: variables),
            templateVariables: variables, maxSamples: maxSamples)
    }
}
