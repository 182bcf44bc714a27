import MartinetTensors

/// What weights are written as: one type, or one of the mixtures that llama.cpp made usual.
public enum QuantizationType: String, Sendable, CaseIterable {
    case f32 = "F32"
    case f16 = "F16"
    case bf16 = "BF16"
    case q8_0 = "Q8_0"
    case q4_0 = "Q4_0"
    case q4_1 = "Q4_1"
    case q5_0 = "Q5_0"
    case q5_1 = "Q5_1"
    case q4_K = "Q4_K"
    case q5_K = "Q5_K"
    case q6_K = "Q6_K"
    /// Q4_K, with Q6_K for half of the value and down projections.
    case q4_K_M = "Q4_K_M"
    /// Q5_K, with Q6_K for half of the value and down projections.
    case q5_K_M = "Q5_K_M"

    /// The type of that name in any case; `nil` where there is none.
    public init?(name: String) {
        guard let found = Self.allCases.first(where: { $0.rawValue.lowercased() == name.lowercased() }) else {
            return nil
        }
        self = found
    }

    /// Whether it is several types together.
    public var isMixture: Bool { self == .q4_K_M || self == .q5_K_M }

    /// The type of most weights.
    var elementType: ElementType {
        switch self {
        case .f32: .float32
        case .f16: .float16
        case .bf16: .bfloat16
        case .q8_0: .q8_0
        case .q4_0: .q4_0
        case .q4_1: .q4_1
        case .q5_0: .q5_0
        case .q5_1: .q5_1
        case .q4_K, .q4_K_M: .q4_K
        case .q5_K, .q5_K_M: .q5_K
        case .q6_K: .q6_K
        }
    }

    /// The value of `general.file_type`: ggml's `llama_ftype`. Q4_K and Q5_K alone count as the small mixtures.
    var fileType: UInt32 {
        switch self {
        case .f32: 0
        case .f16: 1
        case .q4_0: 2
        case .q4_1: 3
        case .q8_0: 7
        case .q5_0: 8
        case .q5_1: 9
        case .q4_K: 14
        case .q4_K_M: 15
        case .q5_K: 16
        case .q5_K_M: 17
        case .q6_K: 18
        case .bf16: 32
        }
    }
}

/// How to quantise a model.
public struct QuantizationOptions: Sendable {
    /// What weights are written as.
    public var type: QuantizationType
    /// The type of the output projection, or of the embedding where that serves as one; `nil` takes Q6_K for block types.
    public var outputType: QuantizationType?
    /// The type of the token embedding; `nil` takes that of the weights.
    public var embeddingType: QuantizationType?
    /// Threads; `nil` takes one for each processor that the process may use.
    public var threads: Int?
    /// Whether a file may be written over.
    public var replaces: Bool

    /// Describes how to quantise.
    public init(
        type: QuantizationType, outputType: QuantizationType? = nil, embeddingType: QuantizationType? = nil,
        threads: Int? = nil, replaces: Bool = false
    ) {
        self.type = type
        self.outputType = outputType
        self.embeddingType = embeddingType
        self.threads = threads
        self.replaces = replaces
    }
}
