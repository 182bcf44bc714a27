import GRPCCore
import GRPCProtobuf
import HTTPTypes
import HummingbirdTesting
import MartinetEngine
import MartinetInferenceProtocol
import MartinetServer
import SwiftProtobuf
import Testing

/// Health and reflection over a live port.
@Suite struct HealthRPCTests {
    @Test func healthIsWhatReadinessSays() async throws {
        let test = TestServer(configuration: TestServer.withRPC)
        try await test.withRPCClient { client, http in
            let health = Grpc_Health_V1_Health.Client(wrapping: client)
            for service in ["", "martinet.v1.Inference", "inference.GRPCInferenceService"] {
                #expect(try await health.check(.with { $0.service = service }).status == .serving)
            }
            let error = await client.error { try await health.check(.with { $0.service = "nothing" }) }
            #expect(error?.code == .notFound)
            test.service.update { $0.figures.failure = "broken" }
            #expect(try await http.execute(uri: "/readyz", method: .get).status.code == 503)
            #expect(try await health.check(.init()).status == .notServing)
            let list = try await health.list(.init())
            #expect(list.statuses.count == 3 && list.statuses.values.allSatisfy { $0.status == .notServing })
        }
    }

    @Test func whoWatchesHearsOfChanges() async throws {
        let test = TestServer(configuration: TestServer.withRPC)
        try await test.withRPCClient { client, _ in
            let health = Grpc_Health_V1_Health.Client(wrapping: client)
            let seen = try await health.watch(.init()) { response in
                var seen: [Grpc_Health_V1_HealthCheckResponse.ServingStatus] = []
                for try await message in response.messages {
                    seen.append(message.status)
                    let failure = seen.count == 1 ? "broken" : nil
                    test.service.update { $0.figures.failure = failure }
                    if seen.count == 3 { break }
                }
                return seen
            }
            #expect(seen == [.serving, .notServing, .serving])
            let unknown = try await health.watch(.with { $0.service = "nothing" }) { response in
                try await response.messages.first { _ in true }?.status
            }
            #expect(unknown == .serviceUnknown)
        }
    }

    @Test func reflectionTellsOfEveryService() async throws {
        let test = TestServer(configuration: TestServer.withRPC)
        try await test.withRPCClient { client, _ in
            let reflection = Grpc_Reflection_V1_ServerReflection.Client(wrapping: client)
            let questions: [Grpc_Reflection_V1_ServerReflectionRequest] = [
                .with { $0.listServices = "" },
                .with { $0.fileContainingSymbol = "martinet.v1.Inference.Generate" },
                .with { $0.fileContainingSymbol = "inference.ModelInferRequest.InferInputTensor" },
                .with { $0.fileByFilename = "grpc/health/v1/health.proto" },
                .with { $0.fileByFilename = "/etc/passwd" },
                .with { $0.fileContainingExtension.containingType = "martinet.v1.Model" },
                .with { $0.allExtensionNumbersOfType = "martinet.v1.Model" },
                .init(),
            ]
            let answers = try await reflection.serverReflectionInfo { writer in
                for question in questions { try await writer.write(question) }
            } onResponse: { response in
                try await response.messages.reduce(into: [Grpc_Reflection_V1_ServerReflectionResponse]()) {
                    $0.append($1)
                }
            }
            #expect(answers.map(\.originalRequest) == questions)
            #expect(
                answers[0].listServicesResponse.service.map(\.name) == [
                    "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                    "grpc.reflection.v1alpha.ServerReflection", "inference.GRPCInferenceService",
                    "martinet.v1.Inference",
                ])
            for answer in answers[1...3] {
                let file = try #require(answer.fileDescriptorResponse.fileDescriptorProto.first)
                #expect(try !Google_Protobuf_FileDescriptorProto(serializedBytes: file).service.isEmpty)
            }
            #expect(answers[4].errorResponse.errorCode == 5 && answers[5].errorResponse.errorCode == 5)
            #expect(answers[6].allExtensionNumbersResponse.baseTypeName == "martinet.v1.Model")
            #expect(answers[7].errorResponse.errorCode == 3)
        }
    }
}
