internal import Foundation
internal import GRPCCore
internal import GRPCProtobuf
internal import MartinetInferenceProtocol
internal import SwiftProtobuf

/// `grpc.reflection.v1.ServerReflection`, and its elder twin `v1alpha`: on the wire they are the same.
struct ReflectionRPCs: RegistrableRPCService {
    typealias Request = Grpc_Reflection_V1_ServerReflectionRequest
    typealias Answer = Grpc_Reflection_V1_ServerReflectionResponse

    let descriptors: ServiceDescriptors

    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        for version in ["v1", "v1alpha"] {
            router.registerHandler(
                forMethod: MethodDescriptor(
                    fullyQualifiedService: "grpc.reflection.\(version).ServerReflection",
                    method: "ServerReflectionInfo", type: .bidirectionalStreaming),
                deserializer: ProtobufDeserializer<Request>(), serializer: ProtobufSerializer<Answer>()
            ) { [self] request, _ in
                StreamingServerResponse { writer in
                    for try await question in request.messages { try await writer.write(answer(question)) }
                    return [:]
                }
            }
        }
    }

    func answer(_ question: Request) -> Answer {
        .with { answer in
            answer.validHost = question.host
            answer.originalRequest = question
            switch question.messageRequest {
            case .fileByFilename(let name)?:
                answer.messageResponse = Self.files(descriptors.files(named: name), "file", name)
            case .fileContainingSymbol(let symbol)?:
                answer.messageResponse = Self.files(descriptors.files(declaring: symbol), "symbol", symbol)
            case .fileContainingExtension(let asked)?:
                answer.messageResponse = Self.files(nil, "extension", asked.containingType)
            case .allExtensionNumbersOfType(let type)?:
                // There are no extensions; of types that are known, none is the answer.
                if descriptors.files(declaring: type) != nil {
                    answer.allExtensionNumbersResponse.baseTypeName = type
                } else {
                    answer.messageResponse = Self.files(nil, "type", type)
                }
            case .listServices?:
                answer.listServicesResponse.service = descriptors.services.map { name in .with { $0.name = name } }
            case nil:
                answer.errorResponse = .with {
                    $0.errorCode = Int32(Status.Code.invalidArgument.rawValue)
                    $0.errorMessage = "The request asks for nothing."
                }
            }
        }
    }

    private static func files(_ files: [Data]?, _ kind: String, _ name: String) -> Answer.OneOf_MessageResponse {
        if let files { return .fileDescriptorResponse(.with { $0.fileDescriptorProto = files }) }
        return .errorResponse(
            .with {
                $0.errorCode = Int32(Status.Code.notFound.rawValue)
                $0.errorMessage = "There is no \(kind) `\(name.prefix(256))`."
            })
    }
}
