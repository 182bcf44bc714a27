import FoundationEssentials

/// Finds the safetensors files of a folder and which of them holds each tensor.
enum SafetensorsShards {
    /// More shards than any model has; a bound on how many files one index can make us open.
    static let maxShards = 2000

    static func open(in path: String) throws(ModelFileError) -> ([SafetensorsFile], [String: Int]) {
        let single = path + "/model.safetensors"
        if FileManager.default.fileExists(atPath: single) {
            let file = try SafetensorsFile(path: single)
            return ([file], Dictionary(uniqueKeysWithValues: file.entries.map { ($0.name, 0) }))
        }
        let indexName = "model.safetensors.index.json"
        guard let index = try HuggingFaceDirectory.json(indexName, in: path) else {
            throw ModelFileError(
                .notFound, file: path, "has neither model.safetensors nor \(indexName); PyTorch .bin files are not read"
            )
        }
        let indexPath = path + "/" + indexName
        guard let weightMap = index["weight_map"]?.object, !weightMap.isEmpty else {
            throw ModelFileError(.invalid, file: indexPath, "has no weight_map from tensors to files")
        }
        var fileOfTensor: [String: String] = [:]
        for (tensor, value) in weightMap {
            guard let name = value.string, HuggingFaceDirectory.isPlainName(name) else {
                throw ModelFileError(
                    .invalid, file: indexPath,
                    "puts tensor \(tensor.quotedForMessage) into "
                        + "\(value.string?.quotedForMessage ?? "something"), which is not the name of a file in the folder"
                )
            }
            fileOfTensor[tensor] = name
        }
        let names = Set(fileOfTensor.values).sorted()
        guard names.count <= maxShards else {
            throw ModelFileError(
                .invalid, file: indexPath, "names \(names.count) files; at most \(maxShards) are opened")
        }
        var shards: [SafetensorsFile] = []
        var held: [Set<String>] = []
        for name in names {
            guard FileManager.default.fileExists(atPath: path + "/" + name) else {
                throw ModelFileError(
                    .notFound, file: indexPath,
                    "names \(name.quotedForMessage), which is missing; fetch the model again")
            }
            let shard = try SafetensorsFile(path: path + "/" + name)
            shards.append(shard)
            held.append(Set(shard.entries.map(\.name)))
        }
        let numbers = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, $0) })
        var shardOfTensor: [String: Int] = [:]
        for (tensor, name) in fileOfTensor {
            guard let number = numbers[name], held[number].contains(tensor) else {
                throw ModelFileError(
                    .invalid, file: indexPath,
                    "puts tensor \(tensor.quotedForMessage) into \(name.quotedForMessage), which does not hold it")
            }
            shardOfTensor[tensor] = number
        }
        return (shards, shardOfTensor)
    }
}
