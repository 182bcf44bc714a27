internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// The routes that say how the server is.
struct StatusRoutes: RouteGroup {
    let pages: StatusPages

    var methods: [String: [HTTPRequest.Method]] {
        Dictionary(uniqueKeysWithValues: StatusPages.paths.map { ($0, [.get, .head]) })
    }

    func add(to router: Router<MartinetContext>) {
        for path in StatusPages.paths {
            router.get(RouterPath(path)) { [pages] _, _ in
                guard let page = pages.page(path) else { throw HTTPError(.notFound) }
                return Response(
                    status: .init(code: page.code), headers: [.contentType: page.contentType],
                    body: ResponseBody(byteBuffer: ByteBuffer(bytes: page.body)))
            }
        }
    }
}
