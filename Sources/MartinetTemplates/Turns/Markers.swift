/// Finds the first of several texts in a stream, and tells where one may have begun that is not complete yet.
struct Markers: Sendable {
    enum Place {
        /// A marker, and the index behind it.
        case found(Int, marker: Int, end: Int)
        /// The rest of the bytes may be the beginning of a marker.
        case partial(Int)
        case none
    }

    let markers: [[UInt8]]

    init(_ markers: [String]) {
        self.markers = markers.map { Array($0.utf8) }
    }

    /// The first place from `start` on.
    func search(_ bytes: [UInt8], from start: Int) -> Place {
        for index in start..<max(start, bytes.count) {
            switch match(bytes, at: index) {
            case .none: continue
            case let place: return place
            }
        }
        return .none
    }

    /// Whether a marker stands here.
    func match(_ bytes: [UInt8], at index: Int) -> Place {
        var isPartial = false
        for (number, marker) in markers.enumerated() where index < bytes.count && bytes[index] == marker[0] {
            let length = min(marker.count, bytes.count - index)
            guard bytes[index..<(index + length)].elementsEqual(marker[..<length]) else { continue }
            if length == marker.count { return .found(index, marker: number, end: index + length) }
            isPartial = true
        }
        return isPartial ? .partial(index) : .none
    }
}
