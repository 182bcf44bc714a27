public import MartinetAPI

/// A model, and what runs it.
public struct Deployment: Sendable {
    /// The model as requests are decoded for it.
    public var model: ServedModel
    /// What runs it.
    public var service: any InferenceService

    /// Puts a model and what runs it together.
    public init(model: ServedModel, service: any InferenceService) {
        self.model = model
        self.service = service
    }
}
