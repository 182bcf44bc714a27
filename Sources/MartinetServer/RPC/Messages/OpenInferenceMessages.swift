internal import Foundation
internal import MartinetAPI
internal import MartinetInferenceProtocol
internal import MartinetJSON
internal import SwiftProtobuf

extension Inference_ModelInferRequest {
    /// The request with its tensors' texts.
    func decoded(for model: ServedModel) throws(APIError) -> OpenInferenceRequest {
        var tensors: [OpenInferenceRequest.Tensor] = []
        guard rawInputContents.isEmpty || rawInputContents.count == inputs.count else {
            throw .invalid(
                "raw_input_contents",
                "`raw_input_contents` must have an entry for each of the \(inputs.count) inputs, got "
                    + "\(rawInputContents.count).")
        }
        for (index, input) in inputs.enumerated() {
            // Inputs of other names and types are refused by those; their elements need not be read.
            let isText = input.name == OpenInferenceRequest.input && input.datatype == OpenInferenceRequest.datatype
            var texts: [String] = []
            if isText, rawInputContents.isEmpty {
                try Self.check(count: input.contents.bytesContents.count)
                for element in input.contents.bytesContents { texts.append(try Self.text(element, input.name)) }
            } else if isText {
                guard !input.hasContents else {
                    throw .invalid(
                        "inputs[\(index)].contents", "Give `contents` or `raw_input_contents`, not both.")
                }
                texts = try Self.texts(rawInputContents[index], input.name)
            }
            tensors.append(
                .init(
                    name: input.name, datatype: input.datatype, shape: input.shape.map { Int($0) }, texts: texts))
        }
        return try OpenInferenceRequest(
            id: id.isEmpty ? nil : id, parameters: parameters.map { (key: $0.key, value: $0.value.value) },
            inputs: tensors, outputs: outputs.map(\.name), model: model)
    }

    /// About how much there is to decode.
    var size: Int {
        rawInputContents.reduce(0) { $0 + $1.count }
            + inputs.reduce(0) { $0 + $1.contents.bytesContents.reduce(0) { $0 + $1.count } }
    }

    /// Elements of varying length stand behind four bytes that say how long they are, the lowest first.
    private static func texts(_ raw: Data, _ name: String) throws(APIError) -> [String] {
        var texts: [String] = []
        var rest = raw
        while !rest.isEmpty {
            let head = rest.prefix(4)
            let count = head.reversed().reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(4)
            guard head.count == 4, count <= rest.count else {
                throw .invalid(
                    "raw_input_contents", "The elements of `\(name)` break off after \(texts.count): lengths are wrong."
                )
            }
            texts.append(try text(rest.prefix(count), name))
            try check(count: texts.count)
            rest = rest.dropFirst(count)
        }
        return texts
    }

    /// Far more than any model takes.
    private static func check(count: Int) throws(APIError) {
        guard count <= 1 << 16 else { throw .invalid("inputs", "A tensor must have at most 65536 elements.") }
    }

    private static func text(_ bytes: Data, _ name: String) throws(APIError) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw .invalid("inputs", "The elements of `\(name)` must be UTF-8.")
        }
        return text
    }
}

extension Inference_InferParameter {
    fileprivate var value: JSONValue {
        switch parameterChoice {
        case nil: .null
        case .boolParam(let value)?: .bool(value)
        case .int64Param(let value)?: .integer(Int(value))
        case .stringParam(let value)?: .string(value)
        case .doubleParam(let value)?: .double(value)
        case .uint64Param(let value)?: Int(exactly: value).map { .integer($0) } ?? .double(Double(value))
        }
    }
}

extension Inference_ModelInferResponse {
    /// - Parameter isRaw: whether the client gave its tensors as bytes, and so wants them.
    init(_ request: OpenInferenceRequest, _ outputs: [(name: String, texts: [String])], name: String, isRaw: Bool) {
        self.init()
        modelName = name
        modelVersion = OpenInferenceRequest.version
        id = request.id ?? ""
        for output in outputs {
            var tensor = InferOutputTensor()
            tensor.name = output.name
            tensor.datatype = OpenInferenceRequest.datatype
            tensor.shape = request.shape.map(Int64.init)
            if isRaw {
                var raw = Data()
                for text in output.texts {
                    withUnsafeBytes(of: UInt32(clamping: text.utf8.count).littleEndian) { raw.append(contentsOf: $0) }
                    raw.append(contentsOf: text.utf8)
                }
                rawOutputContents.append(raw)
            } else {
                tensor.contents.bytesContents = output.texts.map { Data($0.utf8) }
            }
            self.outputs.append(tensor)
        }
    }
}

extension Inference_ModelMetadataResponse {
    /// What a model takes and gives.
    init(name: String) {
        self.init()
        self.name = name
        versions = [OpenInferenceRequest.version]
        platform = "martinet"
        let tensor = { (name: String) in
            TensorMetadata.with {
                $0.name = name
                $0.datatype = OpenInferenceRequest.datatype
                $0.shape = [-1]
            }
        }
        inputs = [tensor(OpenInferenceRequest.input)]
        outputs = OpenInferenceRequest.outputNames.map(tensor)
    }
}
