internal import HTTPTypes
internal import Hummingbird
internal import MartinetAPI

/// The routes that need storage, where there is none.
struct StorageOffRoutes: RouteGroup {
    let methods: [String: [HTTPRequest.Method]] = ["/v1/files": [.get, .post], "/v1/batches": [.get, .post]]

    func add(to router: Router<MartinetContext>) {
        for path: RouterPath in ["v1/files", "v1/files/**", "v1/batches", "v1/batches/**"] {
            for method: HTTPRequest.Method in [.get, .post, .delete] {
                router.on(path, method: method) { _, _ -> Response in
                    throw APIError(
                        status: 501,
                        "This server keeps no files and no batches. Start it with --data-dir FOLDER and it does.",
                        type: "server_error", code: "storage_off")
                }
            }
        }
    }
}
