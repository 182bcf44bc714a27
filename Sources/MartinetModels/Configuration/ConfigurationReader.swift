/// Reads bounded values by key from a model's metadata, whatever its form, with errors that name the key.
struct ConfigurationReader {
    /// The file, for messages.
    let file: String
    let int: (String) -> Int?
    let double: (String) -> Double?
    let text: (String) -> String?
    let truth: (String) -> Bool?
    let has: (String) -> Bool

    func invalid(_ message: String) -> ModelError { ModelError(.invalidModel, "\(file): \(message)") }

    /// A whole number within bounds; `default` where the key is absent, an error where that is `nil`.
    func integer(_ key: String, in range: ClosedRange<Int>, default: Int? = nil) throws(ModelError) -> Int {
        guard has(key) else {
            guard let `default` else { throw invalid("\"\(key)\" is missing") }
            return `default`
        }
        guard let value = int(key), range.contains(value) else {
            let found = double(key).map { "\($0)" } ?? "not a number"
            throw invalid(
                "\"\(key)\" is \(found); it must be a whole number in \(range.lowerBound)...\(range.upperBound)")
        }
        return value
    }

    /// A finite number within bounds; `default` where the key is absent, an error where that is `nil`.
    func number(_ key: String, in range: ClosedRange<Double>, default: Double? = nil) throws(ModelError) -> Double {
        guard has(key) else {
            guard let `default` else { throw invalid("\"\(key)\" is missing") }
            return `default`
        }
        guard let value = double(key), range.contains(value) else {
            let found = double(key).map { "\($0)" } ?? "not a number"
            throw invalid("\"\(key)\" is \(found); it must be in \(range.lowerBound)...\(range.upperBound)")
        }
        return value
    }

    /// A truth value, or `nil` where the key is absent. One of another type is an error: to take it for absent would
    /// run another model than the file describes.
    func flag(_ key: String) throws(ModelError) -> Bool? {
        guard has(key) else { return nil }
        guard let value = truth(key) else { throw invalid("\"\(key)\" must be true or false") }
        return value
    }

    /// A string, or `nil` where the key is absent.
    func string(_ key: String) throws(ModelError) -> String? {
        guard has(key) else { return nil }
        guard let value = text(key) else { throw invalid("\"\(key)\" must be a string") }
        return value
    }
}

/// Bounds that no model in use comes near, and within which no size or product of two overflows.
enum ConfigurationBounds {
    static let vocabulary = 1...(1 << 24)
    static let width = 1...(1 << 20)
    static let layers = 1...4096
    static let heads = 1...4096
    static let headSize = 1...512
    static let context = 1...(1 << 26)
    static let theta = 1.0...1e15
    static let epsilon = 0.0...1.0
    static let scalingFactor = 1e-3...1e6
    static let attentionScale = 1e-6...1e6
}

/// How a form of model spells the keys that ``ModelConfiguration/validate(file:keys:)`` names.
struct ConfigurationKeys {
    var heads: String
    var keyValueHeads: String
    var headSize: String
    var rotarySize: String
}

extension ModelConfiguration {
    /// Checks what holds between the values.
    ///
    /// - Throws: ``ModelError`` `invalid_model` that names them.
    func validate(file: String, keys: ConfigurationKeys) throws(ModelError) {
        func refuse(_ message: String) -> ModelError { ModelError(.invalidModel, "\(file): \(message)") }
        guard headCount % keyValueHeadCount == 0 else {
            throw refuse(
                "\"\(keys.heads)\" \(headCount) is not a multiple of \"\(keys.keyValueHeads)\" \(keyValueHeadCount)")
        }
        guard headSize % 4 == 0 else {
            throw refuse(
                "a head size (\"\(keys.headSize)\") of \(headSize) is not supported; it must be a multiple of 4")
        }
        guard rope.rotarySize > 0, rope.rotarySize % 2 == 0, rope.rotarySize <= headSize else {
            throw refuse(
                "\"\(keys.rotarySize)\" makes \(rope.rotarySize) elements of a head rotate; the number must be even and "
                    + "at most the head size \(headSize)")
        }
        if case .divisors(let divisors) = rope.scaling {
            guard divisors.count == rope.rotarySize / 2, divisors.allSatisfy({ $0.isFinite && $0 > 0 }) else {
                throw refuse(
                    "the tensor \"rope_freqs.weight\" must hold \(rope.rotarySize / 2) positive numbers; it has "
                        + "\(divisors.count)")
            }
        }
        if let windowedLayers, windowedLayers.count != layerCount {
            throw refuse("\(windowedLayers.count) kinds of attention for \(layerCount) layers")
        }
        if let windowedRope {
            guard windowedRope.rotarySize == rope.rotarySize, windowedRope.interleaved == rope.interleaved else {
                throw refuse("layers that rotate different numbers of elements are not supported")
            }
        }
    }
}
