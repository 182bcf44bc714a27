internal import GRPCCore
internal import MartinetInferenceProtocol
internal import SwiftProtobuf

/// `grpc.health.v1.Health`: the same facts as `/readyz`.
struct HealthRPCs: Grpc_Health_V1_Health.SimpleServiceProtocol {
    typealias Status = Grpc_Health_V1_HealthCheckResponse.ServingStatus

    let pages: StatusPages
    /// The empty name stands for the server.
    private static let services = ["", "martinet.v1.Inference", "inference.GRPCInferenceService"]
    /// How often who watches looks.
    private static let interval = Duration.milliseconds(200)

    private func status(of service: String) -> Status? {
        guard Self.services.contains(service) else { return nil }
        return pages.isReady ? .serving : .notServing
    }

    func check(
        request: Grpc_Health_V1_HealthCheckRequest, context: ServerContext
    ) async throws -> Grpc_Health_V1_HealthCheckResponse {
        guard let status = status(of: request.service) else {
            throw RPCError(code: .notFound, message: "There is no service `\(request.service.prefix(256))`.")
        }
        return .with { $0.status = status }
    }

    func list(
        request: Grpc_Health_V1_HealthListRequest, context: ServerContext
    ) async throws -> Grpc_Health_V1_HealthListResponse {
        .with { answer in
            for service in Self.services {
                answer.statuses[service] = .with { $0.status = status(of: service) ?? .unknown }
            }
        }
    }

    func watch(
        request: Grpc_Health_V1_HealthCheckRequest, response: RPCWriter<Grpc_Health_V1_HealthCheckResponse>,
        context: ServerContext
    ) async throws {
        var last: Status?
        while !context.cancellation.isCancelled {
            let status = status(of: request.service) ?? .serviceUnknown
            if status != last { try await response.write(.with { $0.status = status }) }
            last = status
            try await Task.sleep(for: Self.interval)
        }
    }
}
