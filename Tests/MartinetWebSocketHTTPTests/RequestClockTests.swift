import MartinetWebSocketHTTP
import NIOCore
import Testing

@Suite struct RequestClockTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    private func clock() -> RequestClock {
        RequestClock(
            headTimeout: .seconds(10), bodyTimeout: .seconds(20), minBodyRate: 1000, idleTimeout: .seconds(60),
            now: start)
    }

    @Test func aFirstHeadHasItsOwnTime() {
        #expect(clock().deadline == start + .seconds(10))
    }

    @Test func aBodyEarnsTimeByItsBytes() {
        var clock = clock()
        clock.readHead(isKeepAlive: true, now: start + .seconds(1))
        #expect(clock.deadline == start + .seconds(21))
        clock.readBody(999)
        #expect(clock.deadline == start + .seconds(21))
        clock.readBody(4001)
        #expect(clock.deadline == start + .seconds(26))
        clock.readEnd()
        // Now it is the server's turn.
        #expect(clock.deadline == nil)
    }

    @Test func aConnectionRestsAfterItsAnswer() {
        var clock = clock()
        clock.readHead(isKeepAlive: true, now: start)
        clock.readEnd()
        let closes1 = clock.writtenEnd(now: start + .seconds(5))
        #expect(!closes1)
        #expect(clock.deadline == start + .seconds(65))
    }

    @Test func requestsInARowAreAllAnswered() {
        var clock = clock()
        for _ in 0..<2 {
            clock.readHead(isKeepAlive: true, now: start)
            clock.readEnd()
        }
        let closes2 = clock.quiesce()
        #expect(!closes2)
        let closes3 = clock.writtenEnd(now: start)
        #expect(!closes3)
        #expect(clock.deadline == nil)
        let closes4 = clock.writtenEnd(now: start)
        #expect(closes4)
    }

    @Test func anAnswerBeforeTheBodysEndLeavesTheBodyItsTime() {
        var clock = clock()
        clock.readHead(isKeepAlive: true, now: start)
        let closes5 = clock.writtenEnd(now: start + .seconds(3))
        #expect(!closes5)
        #expect(clock.deadline == start + .seconds(20))
    }

    @Test func whoWantsNoMoreIsClosed() {
        var clock = clock()
        clock.readHead(isKeepAlive: false, now: start)
        clock.readEnd()
        let closes6 = clock.writtenEnd(now: start)
        #expect(closes6)
    }

    @Test func anIdleConnectionEndsWithTheServer() {
        var clock = clock()
        let closes7 = clock.quiesce()
        #expect(closes7)
    }
}
