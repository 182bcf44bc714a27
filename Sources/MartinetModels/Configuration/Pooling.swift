/// How the hidden states of a prompt's tokens, after the last normalisation, become one vector.
public enum Pooling: String, Sendable, Hashable, CaseIterable {
    /// The mean over all tokens.
    case mean
    /// The first token's.
    case cls
    /// The last token's, which has seen all others: what decoders are trained for, and vLLM's default for them.
    case last

    /// Reads a GGUF file's `{architecture}.pooling_type`: 1 to 3; where there is none, ``last``.
    ///
    /// Other numbers stand for heads that give no vector, such as a reranker's: `nil`.
    package init?(gguf number: Int?) {
        switch number {
        case 1: self = .mean
        case 2: self = .cls
        case nil, 0, 3: self = .last
        default: return nil
        }
    }
}
