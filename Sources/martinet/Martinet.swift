import ArgumentParser

/// The command line.
@main
struct Martinet: AsyncParsableCommand {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "martinet",
        abstract: "Serve large language models, and keep the promises made about them.",
        discussion: """
            Start with `martinet pull smollm2` and `martinet serve smollm2`. Shell completion: \
            `martinet --generate-completion-script bash` (or zsh, fish).
            """,
        version: version,
        subcommands: [
            ServeCommand.self, GatewayCommand.self, PullCommand.self, ModelsCommand.self, InspectCommand.self,
            ChatCommand.self,
            QuantizeCommand.self, BenchCommand.self, HealthCommand.self, WorkerCommand.self,
        ])
}
