public import MartinetAPI

/// A model, and what runs it.
public struct Deployment: Sendable {
    /// The model as requests are decoded for it.
    public var model: ServedModel
    /// What runs it.
    public var service: any InferenceService
    /// How many sequences it runs at once: what it is full with.
    public var capacity: Int

    /// Puts a model and what runs it together.
    public init(model: ServedModel, service: any InferenceService, capacity: Int = 256) {
        self.model = model
        self.service = service
        self.capacity = capacity
    }
}
