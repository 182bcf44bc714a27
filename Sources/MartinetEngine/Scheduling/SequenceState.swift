/// One sequence on its way through the engine: its tokens, its blocks, and how far it has been computed.
///
/// Only the step loop's thread touches it.
package final class SequenceState {
    /// Names the sequence within its engine; grows with arrival.
    package let number: UInt64
    /// What was asked for.
    package let request: EngineRequest
    /// Fixes its randomness together with the sample's index.
    package let seed: UInt64
    /// Most tokens to generate.
    package let maxTokens: Int
    /// Prompt, then output.
    package private(set) var tokens: [Int32]
    /// Tokens whose keys and values lie in `blocks`.
    package var computed = 0
    /// Whether it holds blocks and takes part in steps.
    package var isRunning = false
    /// KV blocks, in order.
    package var blocks: [Int32] = []
    /// Content ids of the full, computed blocks.
    package var contents: [BlockPool.ContentID] = []
    /// Prompt tokens that came from the prefix cache when the sequence first ran.
    package var cachedPromptTokens: Int?
    /// Whether it may start from cached blocks; prompt log probabilities and means need every position computed.
    package var reusesPrefix: Bool {
        if let embedding { return !embedding.needsEveryToken }
        return request.sampling.promptLogprobs == nil || promptDone
    }
    /// Whether the prompt has been computed once.
    package var promptDone = false
    /// Log probabilities of the prompt so far.
    package var promptLogprobs: [TokenLogprobs?] = []
    /// What becomes its embedding, where one is wanted.
    package var embedding: HiddenStatePool?
    /// What the sampler keeps of it.
    package var sampler: SequenceSampler
    /// The grammar that its output must match, where there is one.
    package let constraint: Constraint?
    /// What guesses its next tokens, where the engine speculates.
    private var drafter: Drafter?
    /// Where its events go.
    package let sink: any SequenceSink
    /// Says whether anybody still reads them.
    package let ticket: SequenceTicket

    /// Makes a sequence that waits.
    package init(
        number: UInt64, request: EngineRequest, seed: UInt64 = 0, maxTokens: Int, sampler: SequenceSampler,
        constraint: Constraint? = nil, embedding: HiddenStatePool? = nil, drafter: Drafter? = nil,
        sink: any SequenceSink, ticket: SequenceTicket
    ) {
        self.number = number
        self.request = request
        self.seed = seed
        self.maxTokens = maxTokens
        self.tokens = request.prompt + request.emitted
        self.sampler = sampler
        self.constraint = constraint
        self.embedding = embedding
        self.drafter = drafter
        self.sink = sink
        self.ticket = ticket
    }

    /// Whether it can run: its grammar, where it has one, has been compiled.
    package var isReady: Bool { constraint == nil || sampler.isConstrained }
    /// Samples of its request that start when its prompt has been computed.
    package var samplesToStart: Int { promptDone ? 0 : request.sampleCount - 1 }
    /// Whether nobody reads its events any more.
    package var isCancelled: Bool { ticket.isCancelled(sample: request.sampleIndex) }
    /// Tokens in the prompt.
    package var promptCount: Int { request.prompt.count }
    /// Tokens generated.
    package var outputCount: Int { tokens.count - promptCount }
    /// Tokens that no step has computed yet: one when decoding.
    package var pending: Int { tokens.count - computed }

    /// Adds a generated token.
    package func append(_ token: Int32) {
        tokens.append(token)
        drafter?.observe(tokens)
    }

    /// Guesses of the tokens behind the last one, as far as they pay in a step and the grammar takes them.
    package func draft(limit: Int, load: inout StepLoad) -> [Int32] {
        drafter?.draft(tokens, limit: limit, load: &load, where: sampler.makePreview()) ?? []
    }

    /// Whether this sequence runs before another.
    package func precedes(_ other: SequenceState) -> Bool {
        (request.priority, number) < (other.request.priority, other.number)
    }
}
