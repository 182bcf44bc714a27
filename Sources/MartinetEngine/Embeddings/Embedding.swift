/// A vector that stands for a text.
public struct Embedding: Sendable, Hashable {
    /// Its elements, as many as the model is wide.
    public var values: [Float]

    /// Describes a vector.
    public init(values: [Float]) { self.values = values }

    /// The same direction with length 1; zeros stay as they are.
    ///
    /// - Parameter dimensions: how many of the first elements to keep; `nil` for all.
    public func normalized(dimensions: Int? = nil) -> Embedding {
        let kept = values.prefix(max(0, dimensions ?? values.count))
        let length = kept.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        guard length > 0, length.isFinite else { return Embedding(values: Array(kept)) }
        return Embedding(values: kept.map { Float(Double($0) / length) })
    }
}
