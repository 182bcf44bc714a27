import ArgumentParser
import Foundation
import MartinetModelFormats

/// `martinet models`: what is in the store.
struct ModelsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "models",
        abstract: "List the models in the store, or remove one.",
        subcommands: [ListCommand.self, RemoveCommand.self],
        defaultSubcommand: ListCommand.self)

    /// `martinet models list`.
    struct ListCommand: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List the models in the store.")

        @Flag(help: "Print JSON.")
        var json = false

        private struct Row: Encodable {
            var name: String
            var path: String
            var file: String
            var bytes: Int
            var architecture: String?
            var quantisation: String?
            var problem: String?
        }

        func run() throws {
            let store = ModelStore()
            let rows = store.list().map { model -> Row in
                let file =
                    model.files.first { $0.hasSuffix(".gguf") } ?? model.files.first { $0.hasSuffix(".safetensors") }
                var row = Row(name: model.name, path: model.path, file: file ?? "", bytes: model.byteCount)
                do throws(ModelFileError) {
                    let facts = ModelFacts(try ModelFile.open(path: model.path))
                    row.architecture = facts.architecture
                    row.quantisation = facts.quantisation
                } catch {
                    row.problem = error.message
                }
                return row
            }
            if json {
                let encoder = JSONEncoder()
                encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
                print(String(decoding: try encoder.encode(rows), as: UTF8.self))
            } else if rows.isEmpty {
                print("No models in \(store.modelsFolder) yet. Get one with: martinet pull \(Catalogue.defaultName)")
            } else {
                let lines = rows.map {
                    [
                        $0.name, $0.file, ByteText.size($0.bytes), $0.architecture ?? "?",
                        $0.quantisation ?? $0.problem ?? "?",
                    ]
                }
                print(ByteText.table([["NAME", "FILE", "SIZE", "ARCHITECTURE", "QUANTISATION"]] + lines))
            }
        }
    }

    /// `martinet models rm`.
    struct RemoveCommand: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "rm", abstract: "Delete models from the store.")

        @Argument(help: "Names in the store.")
        var names: [String]

        func run() throws {
            for name in names {
                try ModelStore().remove(name)
                print("\(name) is deleted.")
            }
        }
    }
}
