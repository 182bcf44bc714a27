internal import GRPCCore
internal import MartinetAPI
internal import MartinetInferenceProtocol
internal import SwiftProtobuf

/// `inference.GRPCInferenceService`: the Open Inference Protocol, version 2.
struct OpenInferenceRPCs: Inference_GRPCInferenceService.ServiceProtocol {
    let calls: CallRouter
    let rpc: RPCCalls
    let pages: StatusPages

    func serverLive(
        request: ServerRequest<Inference_ServerLiveRequest>, context: ServerContext
    ) async throws -> ServerResponse<Inference_ServerLiveResponse> {
        try await rpc.unary(request, context) { _, _ in .with { $0.live = pages.isLive } }
    }

    func serverReady(
        request: ServerRequest<Inference_ServerReadyRequest>, context: ServerContext
    ) async throws -> ServerResponse<Inference_ServerReadyResponse> {
        try await rpc.unary(request, context) { _, _ in .with { $0.ready = pages.isReady } }
    }

    func modelReady(
        request: ServerRequest<Inference_ModelReadyRequest>, context: ServerContext
    ) async throws -> ServerResponse<Inference_ModelReadyResponse> {
        try await rpc.unary(request, context) { message, _ in
            _ = try target(message.name, version: message.version)
            return .with { $0.ready = pages.isReady }
        }
    }

    func serverMetadata(
        request: ServerRequest<Inference_ServerMetadataRequest>, context: ServerContext
    ) async throws -> ServerResponse<Inference_ServerMetadataResponse> {
        try await rpc.unary(request, context) { _, _ in
            .with {
                $0.name = "martinet"
                $0.version = pages.version
            }
        }
    }

    func modelMetadata(
        request: ServerRequest<Inference_ModelMetadataRequest>, context: ServerContext
    ) async throws -> ServerResponse<Inference_ModelMetadataResponse> {
        try await rpc.unary(request, context) { message, _ in
            _ = try target(message.name, version: message.version)
            return Inference_ModelMetadataResponse(name: message.name)
        }
    }

    func modelInfer(
        request: ServerRequest<Inference_ModelInferRequest>, context: ServerContext
    ) async throws -> ServerResponse<Inference_ModelInferResponse> {
        try await rpc.unary(request, context) { message, call in
            let target = try target(message.modelName, version: message.modelVersion)
            let (decoded, requests) = try await CallRouter.aside(message.size) {
                let decoded = try message.decoded(for: target.model)
                return (decoded, try decoded.requests(id: call.id("oip-"), model: target.model))
            }
            let results = try await calls.runner.collect(
                call.hints.applied(to: requests), on: target, for: call.caller)
            return Inference_ModelInferResponse(
                decoded, decoded.outputs.map { (name: $0, texts: decoded.elements(of: $0, results)) },
                name: message.modelName, isRaw: !message.rawInputContents.isEmpty)
        }
    }

    private func target(_ name: String, version: String) throws(APIError) -> Deployment {
        guard !name.isEmpty else {
            throw .invalid("name", "The model's name is required.", code: "missing_required_parameter")
        }
        try OpenInferenceRequest.check(version: version)
        return try calls.directory.servedHere(name)
    }
}
