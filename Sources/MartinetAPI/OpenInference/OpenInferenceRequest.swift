public import MartinetEngine
package import MartinetJSON
internal import MartinetTokenizers

/// An inference request of the Open Inference Protocol: texts in a tensor, one output for each.
public struct OpenInferenceRequest: Sendable {
    /// A tensor of texts.
    package struct Tensor: Sendable {
        var name: String
        var datatype: String
        var shape: [Int]
        var texts: [String]

        /// Describes a tensor; its texts stand in row-major order.
        package init(name: String, datatype: String, shape: [Int], texts: [String]) {
            self.name = name
            self.datatype = datatype
            self.shape = shape
            self.texts = texts
        }
    }

    /// The client's name for the request.
    public var id: String?
    /// The shape of the input and of every output.
    public var shape: [Int]
    /// The outputs that the client wants, in its order.
    public var outputs: [String]
    private var generation: GenerateRequest

    /// The name of the input.
    public static let input = "text_input"
    /// The names of the outputs.
    public static let outputNames = ["text_output", "finish_reason"]
    /// The data type of all of them.
    public static let datatype = "BYTES"
    /// Models have no versions; clients that need one may say this.
    public static let version = "1"
    /// Parameters of the protocol's extensions that say nothing here.
    private static let foreignParameters: Set<String> = [
        "binary_data_output", "sequence_id", "sequence_start", "sequence_end",
    ]

    /// Decodes the body of `/v2/models/…/infer`.
    public init(_ body: JSONBody, model: ServedModel) throws(APIError) {
        var reader = try body.reader()
        let id = try reader.string("id", maximum: 1024)
        let parameters = try Self.parameters(reader.take("parameters"))
        guard let values = try reader.array("inputs", maximum: 64) else {
            throw .invalid(
                "inputs", "`inputs` is required: an array of tensors.", code: "missing_required_parameter")
        }
        var inputs: [Tensor] = []
        for (index, value) in values.enumerated() {
            let path = "inputs[\(index)]"
            inputs.append(try Tensor(try reader.inner(value, path: path), path: path))
        }
        var outputs: [String] = []
        for (index, value) in (try reader.array("outputs", maximum: 64) ?? []).enumerated() {
            var output = try reader.inner(value, path: "outputs[\(index)]")
            outputs.append(try output.string("name", maximum: 1024) ?? "")
        }
        try self.init(id: id, parameters: parameters, inputs: inputs, outputs: outputs, model: model)
    }

    /// Puts a request together and checks it.
    package init(
        id: String?, parameters: [(key: String, value: JSONValue)], inputs: [Tensor], outputs: [String],
        model: ServedModel
    ) throws(APIError) {
        if let other = inputs.first(where: { $0.name != Self.input }) {
            throw .invalid("inputs", "There is no input `\(other.name.prefix(256))`; this model takes `\(Self.input)`.")
        }
        guard let input = inputs.first, inputs.count == 1 else {
            throw .invalid("inputs", "`inputs` must hold one tensor, `\(Self.input)`, got \(inputs.count).")
        }
        guard input.datatype == Self.datatype else {
            throw .invalid(
                "inputs", "`\(Self.input)` must have the data type BYTES, got `\(input.datatype.prefix(64))`.")
        }
        guard Self.elements(input.shape) == input.texts.count else {
            throw .invalid(
                "inputs",
                "The shape \(input.shape.prefix(16)) of `\(Self.input)` does not go with its \(input.texts.count) elements."
            )
        }
        if let other = outputs.first(where: { !Self.outputNames.contains($0) }) {
            throw .invalid(
                "outputs",
                "There is no output `\(other.prefix(256))`; this model gives \(Self.outputNames.joined(separator: ", "))."
            )
        }
        var members = parameters.filter { !Self.foreignParameters.contains($0.key) && $0.key != "prompts" }
        members.append((key: "prompts", value: .array(input.texts.map { .string($0) })))
        do {
            generation = try GenerateRequest.batch(JSONBody(members: members), model: model)
        } catch {
            throw Self.renamed(error)
        }
        self.id = id
        self.shape = input.shape
        self.outputs = outputs.isEmpty ? Self.outputNames : outputs
    }

    /// How many elements a shape has; `nil` where it is none.
    private static func elements(_ shape: [Int]) -> Int? {
        guard !shape.isEmpty, shape.count <= 16 else { return nil }
        var count = 1
        for size in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: size)
            guard size >= 0, !overflow else { return nil }
            count = product
        }
        return count
    }

    /// An error that names the tensor where it would name our own field.
    private static func renamed(_ error: APIError) -> APIError {
        var error = error
        error.message = error.message.replacing("`prompts", with: "`\(input)")
        error.parameter = error.parameter?.replacing("prompts", with: input)
        return error
    }

    /// Members of an object of parameters.
    static func parameters(_ value: JSONValue?) throws(APIError) -> [(key: String, value: JSONValue)] {
        switch value {
        case nil: return []
        case .object(let members)?: return members
        case let value?:
            throw .invalid("parameters", "`parameters` must be an object, got \(value.kind).", code: "invalid_type")
        }
    }

    /// The engine's requests, one for each text.
    public func requests(id: String, model: ServedModel) throws(APIError) -> [InferenceRequest] {
        do {
            return try generation.requests(id: id, model: model)
        } catch {
            throw Self.renamed(error)
        }
    }

    /// The elements of an output.
    public func elements(of output: String, _ results: [InferenceResult]) -> [String] {
        results.map { result in
            guard let first = result.outputs.first else { return "" }
            return output == "finish_reason" ? first.finishReason.rawValue : first.text
        }
    }
}

extension OpenInferenceRequest.Tensor {
    fileprivate init(_ tensor: FieldReader, path: String) throws(APIError) {
        var reader = tensor
        name = try reader.string("name", maximum: 1024) ?? ""
        datatype = try reader.string("datatype", maximum: 1024) ?? ""
        shape = []
        for (index, value) in (try reader.array("shape", maximum: 16) ?? []).enumerated() {
            shape.append(try FieldReader.integer(value, "\(path).shape[\(index)]", in: 0...Int.max))
        }
        texts = []
        guard let data = reader.take("data") else {
            throw .invalid(
                "\(path).data", "`\(path).data` is required; tensors as binary data are not read.",
                code: "missing_required_parameter")
        }
        try add(data, path: "\(path).data")
    }

    /// Adds elements, which may be nested as the shape is.
    private mutating func add(_ value: JSONValue, path: String) throws(APIError) {
        switch value {
        case .string(let text): texts.append(text)
        case .array(let values): for value in values { try add(value, path: path) }
        default:
            // Other inputs are refused by their names, with a better word than this.
            guard name == OpenInferenceRequest.input else { return }
            throw .invalid(path, "`\(path)` must hold strings, got \(value.kind).", code: "invalid_type")
        }
    }
}
