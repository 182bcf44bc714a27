import ArgumentParser
import Foundation
import MartinetEngine
import MartinetFleet
import MartinetModelFormats
import MartinetServer
import MartinetUpstreams
import MartinetWorkerProtocol

/// Makes a fleet's specification of flags, environment and configuration file.
struct FleetSettings {
    /// `NAME=MODEL` or `MODEL`, as `--model` takes them.
    var models: [String]
    /// The model of the command line, where there is one.
    var model: String?
    var server: ServerFlags
    var logLevel: String?
    var logFormat: String?
    var fleet: FleetFlags
    var engine: EngineFlags
    /// Whether models may have workers of this process; a gateway has none.
    var startsWorkers: Bool

    /// Reads everything.
    ///
    /// - Throws: `ValidationError` or ``ModelFileError`` that names the entry at fault.
    func specification(_ settings: Settings, _ file: ConfigurationFile) throws -> FleetSpecification {
        var specification = FleetSpecification(upstreams: file.upstreams, rules: file.rules)
        if startsWorkers {
            for entry in models {
                let parts = entry.split(separator: "=", maxSplits: 1).map(String.init)
                let (name, wanted) = parts.count == 2 ? (parts[0], parts[1]) : (nil, entry)
                specification.models.append(try local(wanted, name: name, aliases: [], settings))
            }
            let single = settings.text("model", model)
            if let wanted = single ?? (models.isEmpty && file.isEmpty ? Catalogue.defaultName : nil) {
                specification.models.insert(
                    try local(wanted, name: nil, aliases: server.names(settings), settings), at: 0)
            }
        }
        for model in file.models {
            let merged = settings.merging(model.settings)
            if let wanted = model.model {
                guard startsWorkers else {
                    throw ValidationError(
                        "models: `\(model.name)` has `model`, but a gateway starts no workers; give it `connect`.")
                }
                specification.models.append(try local(wanted, name: model.name, aliases: model.aliases, merged))
            } else {
                specification.models.append(try remote(model, merged))
            }
        }
        let names = specification.models.flatMap(\.names) + specification.upstreams.flatMap(\.names)
        if let twice = names.first(where: { name in names.count { $0 == name } > 1 }) {
            throw ValidationError("The name `\(twice)` stands for two models; names must differ.")
        }
        let pools = specification.models.map(\.name) + specification.upstreams.map(\.pool.name)
        guard Set(pools).count == pools.count else {
            throw ValidationError("A pool of upstreams has the name of another pool or of a model; names must differ.")
        }
        do throws(EngineError) {
            try specification.rules?.validate(pools: Set(pools))
        } catch {
            throw ValidationError(error.message)
        }
        return specification
    }

    private func local(
        _ wanted: String, name: String?, aliases: [String], _ settings: Settings
    ) throws -> ModelSpecification {
        let options = try engine.options(settings)
        let path = try ModelStore().resolve(wanted)
        // A store's name is what people say; of a path its last part is.
        let last = wanted.split(separator: "/").last.map(String.init) ?? wanted
        let own = wanted.contains("/") ? (last.hasSuffix(".gguf") ? String(last.dropLast(5)) : last) : wanted
        let names = (name.map { [$0] } ?? (aliases.isEmpty ? [own] : [])) + aliases
        let count = try settings.integer("workers", fleet.workers, in: 1...256) ?? 1
        return ModelSpecification(
            names: names, root: wanted,
            runner: .workers(
                path: path, count: count, arguments: engine.arguments(settings) + logging(settings), options: options),
            policy: try fleet.policy(settings), pool: try fleet.pool(settings),
            supervision: try fleet.supervision(settings), turns: try server.turns(settings))
    }

    /// Workers log as this process does.
    private func logging(_ settings: Settings) -> [String] {
        let fallback = isatty(STDERR_FILENO) == 1 ? "text" : "json"
        return [
            "--log-level=\(settings.text("log-level", logLevel) ?? "info")",
            "--log-format=\(settings.text("log-format", logFormat) ?? fallback)",
        ]
    }

    private func remote(_ model: ConfigurationFile.Model, _ settings: Settings) throws -> ModelSpecification {
        let endpoints = try model.connect.map { text in
            do throws(WorkerProtocolError) {
                return try WorkerEndpoint(parsing: text)
            } catch {
                throw ValidationError("models: \(model.name).connect: \(error.message)")
            }
        }
        func value(_ key: String) -> String? { model.settings[key] }
        var tls: WorkerClientTLS?
        if value("tls_ca") != nil || value("tls_certificate") != nil {
            guard (value("tls_certificate") == nil) == (value("tls_key") == nil) else {
                throw ValidationError("models: \(model.name): tls_certificate and tls_key belong together.")
            }
            var identity: WorkerClientTLS.Identity?
            if let certificate = value("tls_certificate"), let key = value("tls_key") {
                identity = .init(certificatePath: certificate, keyPath: key)
            }
            tls = WorkerClientTLS(
                authoritiesPath: value("tls_ca"), identity: identity, serverName: value("tls_server_name"))
        }
        return ModelSpecification(
            names: [model.name] + model.aliases, root: model.connect.joined(separator: ","),
            runner: .connect(endpoints: endpoints, tls: tls), policy: try fleet.policy(settings),
            pool: try fleet.pool(settings), supervision: try fleet.supervision(settings),
            turns: try server.turns(settings))
    }
}
