package import MartinetTensors

/// What architectures compute with: weights and activations on some device, and the operations between them.
///
/// A backend runs one step at a time. ``begin(_:)`` says which tokens a step has; every operation after it works on
/// all rows of its activations. Buffers are made once, when a model is built; no operation allocates one.
///
/// Results must not depend on the batch: an operation's row is the same bits whatever the other rows are.
package protocol Backend: AnyObject {
    /// A weight matrix as the device holds it, `[rows, columns]`.
    associatedtype Matrix
    /// A vector of floats: a bias, or the weights of a normalisation.
    associatedtype Vector
    /// A matrix of floats with one row per token, or per wanted row of logits.
    associatedtype Activation

    /// Bytes that weights, KV pool and scratch take.
    var memory: RunnerMemory { get }

    /// Takes a weight matrix in whatever type it has, for products and for ``embed(_:scale:into:)``.
    func matrix(_ tensor: TensorView) throws(ModelError) -> Matrix
    /// Takes a matrix for ``embed(_:scale:into:)`` alone.
    func table(_ tensor: TensorView) throws(ModelError) -> Matrix
    /// Takes a vector, converted to floats.
    func vector(_ tensor: TensorView) throws(ModelError) -> Vector
    /// Reserves an activation.
    func activation(width: Int, rows: ActivationRows) throws(ModelError) -> Activation
    /// Reserves activations with a row per token, by the widths of each set. The sets share their memory, so only one
    /// of them is in use at a time.
    func activations(sharing sets: [[Int]]) throws(ModelError) -> [[Activation]]
    /// Reserves the rows of logits.
    func logits(width: Int) throws(ModelError) -> Activation

    /// Starts a step, which the runner has checked against the limits.
    ///
    /// - Throws: ``ModelError`` where the system has no memory for the step's block tables.
    func begin(_ batch: ForwardBatch) throws(ModelError)
    /// Looks up the step's tokens, times `scale`.
    func embed(_ table: Matrix, scale: Float, into output: Activation)
    /// RMS normalisation of `groups` equal parts of each row; the output may be the input.
    func normalize(
        _ input: Activation, weight: Vector, epsilon: Float, groups: Int, into output: Activation)
    /// Multiplies one input by several matrices, once `preparation` has filled it.
    func project(_ input: Activation, _ preparation: Preparation<Self>, _ projections: [Projection<Self>])
    /// `output += input`.
    func add(_ input: Activation, into output: Activation)
    /// Rotates queries and keys, stores keys and values in the pool, and attends over each token's sequence.
    func attend(_ attention: AttentionStep<Self>)
    /// Copies the rows for which logits are wanted.
    func selectLogitRows(_ input: Activation, into output: Activation)
    /// The rows of an activation, readable and writable by the caller until the next step.
    func rows(of activation: Activation) -> UnsafeMutableBufferPointer<Float>
}

/// What the rows of an activation stand for.
package enum ActivationRows: Sendable {
    /// The step's tokens.
    case tokens
    /// The step's wanted logits.
    case logits
}

/// The function on the gated half of a feed-forward layer.
package enum GateActivation: Sendable, Hashable {
    case silu
    /// The tanh approximation.
    case gelu
}

/// What comes before a product, row by row: with the product in one operation, rows need not leave the cache between.
package enum Preparation<B: Backend> {
    /// The input is ready.
    case none
    /// `input = rmsNorm(source) * weight`; the source may be the input.
    case normalized(B.Activation, weight: B.Vector, epsilon: Float)
    /// `input = activation(input) * up`.
    case gated(up: B.Activation, GateActivation)
}

/// One matrix of ``Backend/project(_:_:_:)``: `output = (accumulate ? output : 0) + bias + weight · input`.
package struct Projection<B: Backend> {
    package var weight: B.Matrix
    package var bias: B.Vector?
    package var accumulate: Bool
    package var output: B.Activation
}

/// The attention of one layer.
package struct AttentionStep<B: Backend> {
    /// Which part of the KV pool.
    package var layer: Int
    /// `[headCount][headSize]` in each row; rotated in place.
    package var queries: B.Activation
    /// `[keyValueHeadCount][headSize]` in each row; rotated in place.
    package var keys: B.Activation
    /// As `keys`.
    package var values: B.Activation
    /// As `queries`.
    package var output: B.Activation
    /// Which of the step's rotations: an index into the list that the backend was made with.
    package var rope: Int
    /// Multiplies the scores.
    package var scale: Float
    /// Positions that a token sees, itself included; `nil` for all.
    package var window: Int?
}
