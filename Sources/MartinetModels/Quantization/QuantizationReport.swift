/// What quantising a model came to.
public struct QuantizationReport: Sendable {
    /// Tensors of one type in the new file.
    public struct TypeUse: Sendable {
        /// The type's name: `Q4_K`.
        public let type: String
        /// Tensors of the type.
        public internal(set) var tensors = 0
        /// Their elements.
        public internal(set) var elements = 0
        /// Their bytes.
        public internal(set) var bytes = 0
        var squaredError = 0.0

        init(type: String) { self.type = type }

        /// The root of the mean squared difference from the source's values.
        public var rootMeanSquareError: Double { elements > 0 ? (squaredError / Double(elements)).squareRoot() : 0 }
    }

    /// A type that rows do not divide into, and what was taken instead.
    public struct Fallback: Sendable, Hashable {
        /// The type that the tensors would have had.
        public let wanted: String
        /// The type that they have.
        public let taken: String
        /// How many tensors.
        public internal(set) var tensors: Int
    }

    /// The types of the new file, the one with the most bytes first.
    public internal(set) var types: [TypeUse] = []
    /// Types that could not be taken.
    public internal(set) var fallbacks: [Fallback] = []
    /// Whether weights of the source were in block types already, so that their error is on top of an older one.
    public internal(set) var isRequantized = false
    /// Bytes of the new file.
    public internal(set) var fileSize = 0
    var squaredSum = 0.0

    /// Elements of all tensors.
    public var elements: Int { types.reduce(0) { $0 + $1.elements } }
    /// Bits that an element takes in the mean.
    public var bitsPerWeight: Double {
        elements > 0 ? 8 * Double(types.reduce(0) { $0 + $1.bytes }) / Double(elements) : 0
    }
    /// The root of the mean squared difference from the source's values, over all elements.
    public var rootMeanSquareError: Double {
        elements > 0 ? (types.reduce(0) { $0 + $1.squaredError } / Double(elements)).squareRoot() : 0
    }
    /// That error as a share of the root mean square of the source's values.
    public var relativeError: Double {
        squaredSum > 0 ? (types.reduce(0) { $0 + $1.squaredError } / squaredSum).squareRoot() : 0
    }
}
